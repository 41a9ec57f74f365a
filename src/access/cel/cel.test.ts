import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CelError, compileCel } from './cel.ts';

const time = new Date('2026-03-04T05:06:07.890Z');

const req = {
  time,
  user: { username: 'alice', groups: ['dev', 'ops'] },
  client: { ip: '10.0.0.5', forwardedFor: [] },
  repository: 'team/app',
  tag: 'v1',
  claims: {
    iss: 'https://issuer',
    repo: 'a',
    n: 3,
    big: 1e21,
    list: ['x', 'y'],
    'a.b/c': { d: null },
    empty: '',
  },
  tls: { enabled: true, version: '1.3' },
  nothing: null,
};

/** Expressions that are true, by the part of the environment that they prove. */
const TRUE: Readonly<Record<string, readonly string[]>> = {
  'fields and maps': [
    `req.user.username == 'alice'`,
    `req['user']['username'] == 'alice'`,
    `req.claims['a.b/c'].d == null`,
    `has(req.claims.repo) && !has(req.claims.nope)`,
    `'repo' in req.claims`,
    `{'a': 1}.a == 1 && {'a': 1}['a'] == 1`,
    `req.nothing == null`,
  ],
  'lists and macros': [
    `'dev' in req.user.groups`,
    `req.user.groups.exists(g, g.startsWith('d'))`,
    `req.user.groups.all(g, size(g) == 3)`,
    `req.user.groups.exists_one(g, g == 'dev')`,
    `req.user.groups.map(g, g + 'x')[0] == 'devx'`,
    `req.user.groups.map(g, g == 'ops', g + '!') == ['ops!']`,
    `req.user.groups.filter(g, g == 'ops').size() == 1`,
    `[1] + [2] == [1, 2]`,
    `cel.bind(name, req.user.username, name.size() == 5)`,
  ],
  'logic that stops early': [
    `true || (1 / 0 == 1)`,
    `(1 / 0 == 1) || true`,
    `!(false && (1 / 0 == 1))`,
    `req.claims.nope == 1 || true`,
    `true ? true : false`,
  ],
  'optional types': [
    `req.claims.?nope.orValue('d') == 'd'`,
    `req.claims.?repo.orValue('d') == 'a'`,
    `req.?claims.?iss.hasValue()`,
    `!req.claims[?'zz'].hasValue()`,
    `optional.of(1).value() == 1 && !optional.none().hasValue()`,
    `!optional.ofNonZeroValue(req.claims.empty).hasValue() && optional.ofNonZeroValue('a').value() == 'a'`,
    `req.claims.?nope.or(optional.of('q')).value() == 'q'`,
    `req.claims.?n.optMap(x, x + 1.0).orValue(0.0) == 4.0`,
    `req.claims.?nope.optMap(x, x + 1.0).orValue(9.0) == 9.0`,
    `req.claims.?iss.optFlatMap(x, req.claims.?repo.optMap(y, x + y)).orValue('') == 'https://issuera'`,
  ],
  'numbers across types': [
    `req.claims.n == 3 && req.claims.n > 2 && req.claims.n < 4u`,
    `1 < 1.5 && 2 > 1u && 1u < 2.5`,
    `dyn(1) == 1.0 && dyn(1u) == 1`,
    `dyn(1.0) in [1]`,
    `7 / 2 == 3 && 7 % 2 == 1 && -1 < 0`,
    `int('42') == 42 && uint(3) == 3u && double('1.5') == 1.5 && string(1) == '1' && bool('true')`,
    `type(1) == int && type('a') == string`,
    `0x1F == 31 && 1e3 == 1000.0`,
    `req.claims.big > 9007199254740993`,
  ],
  'regular expressions are RE2': [
    `req.repository.matches('^team/.*$')`,
    `'aB'.matches('(?i)^ab$')`,
    `matches('abc', 'b')`,
    `!'abc'.matches('^b')`,
    `req.user.groups.exists(g, g.matches('^o'))`,
    `req.user.groups.filter(g, g.matches('^o')).map(g, g.matches('s$')) == [true]`,
    `req.user.groups.all(g, g.matches('^.{3}$')) && req.user.groups.exists_one(g, g.matches('^d'))`,
    `cel.bind(p, '^t', req.repository.matches(p)) ? 'a'.matches('a') : 'b'.matches('a')`,
    `req.claims.?iss.optMap(i, i.matches('issuer')).orValue(false)`,
    `{'a': 'x'.matches('x')}.a && ['y'.matches('y')][0]`,
  ],
  strings: [
    `'a,b'.split(',') == ['a', 'b'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']`,
    `['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab'`,
    `'Ab'.lowerAscii() == 'ab' && 'ab'.upperAscii() == 'AB' && ' a '.trim() == 'a'`,
    `'abcb'.replace('b', 'x') == 'axcx' && 'aaa'.replace('a', 'b', 2) == 'bba' && 'ab'.replace('', '-') == '-a-b-'`,
    `'hello'.charAt(1) == 'e' && 'hello'.charAt(5) == ''`,
    `'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3 && 'hello'.substring(1, 3) == 'el'`,
    `'abc'.reverse() == 'cba' && strings.quote('a"b') == '"a\\\\"b"'`,
    `'%s-%d-%.2f-%x-%%'.format([dyn('a'), dyn(3), dyn(1.5), dyn(255)]) == 'a-3-1.50-ff-%'`,
    `'a'.contains('a') && 'a'.startsWith('a') && 'a'.endsWith('a')`,
    `size('héé') == 3 && 'a' + 'b' == 'ab' && '\\u00e9' == 'é' && r'\\d' == '\\\\d'`,
  ],
  sets: [
    `sets.contains(req.user.groups, ['dev']) && !sets.contains(['a'], ['a', 'b'])`,
    `sets.equivalent([1, 2], [2, 1, 1]) && !sets.equivalent([1], [2])`,
    `!sets.intersects(['a'], ['b']) && sets.intersects(req.claims.list, ['y', 'z'])`,
    `sets.contains([dyn(1.0)], [dyn(1)])`,
    `sets.contains([[1], [2]], [[2]]) && sets.contains([{'a': 1}], [{'a': 1}])`,
  ],
  encoders: [
    `base64.encode(b'hi') == 'aGk='`,
    `string(base64.decode('aGk=')) == 'hi' && string(base64.decode('aGk')) == 'hi'`,
  ],
  'times in UTC': [
    `req.time.getHours() == 5 && req.time.getDayOfWeek() == 3 && req.time.getFullYear() == 2026`,
    `req.time.getHours('America/New_York') == 0 && req.time.getHours('-02:00') == 3`,
    `req.time > timestamp('2026-01-01T00:00:00Z') && req.time + duration('1h') > req.time`,
    `req.time - timestamp('2026-03-04T05:06:07.890Z') == duration('0s')`,
    `duration('1h30m') == duration('5400s') && duration('90m').getHours() == 1`,
  ],
};

for (const [part, expressions] of Object.entries(TRUE)) {
  test(`CEL: ${part}`, () => {
    for (const expression of expressions) {
      assert.equal(compileCel(expression, ['req']).evaluate({ req }), true, expression);
    }
  });
}

test('CEL: times do not depend on the zone of the machine', () => {
  const before = process.env.TZ;
  process.env.TZ = 'Pacific/Auckland';
  try {
    assert.equal(compileCel('req.time.getHours()', ['req']).evaluate({ req }), 5n);
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
});

test('CEL: what does not fit is refused before it is used', () => {
  const wrong = [
    '',
    '1 +',
    'nope == 1',
    `'a' + 1 == 'a1'`,
    'foo(1)',
    `[1, 'a']`,
    '1u == 1',
    `'a'.nope()`,
    'x'.repeat(9000),
  ];
  for (const expression of wrong) assert.throws(() => compileCel(expression, ['req']), CelError, expression);
  assert.equal(compileCel('req.a && true', ['req']).type, 'bool');
  assert.equal(compileCel('req.a', ['req']).type, 'dyn');
});

test('CEL: an evaluation without a value throws', () => {
  for (const expression of [
    'req.claims.nope == 1',
    'req.nope.x',
    '1 / 0 == 1',
    'req.claims.list[9] == 1',
    `req.constructor == 1`,
  ]) {
    assert.throws(() => compileCel(expression, ['req']).evaluate({ req }), CelError, expression);
  }
  assert.throws(
    () => compileCel('req.claims.repo', ['req']).evaluate({ req: { ...req, claims: null } }),
    CelError,
  );
});

test('CEL: no input makes an evaluation long', () => {
  const began = performance.now();
  const evil = `${'a'.repeat(8000)}!`;
  const program = compileCel(`req.text.matches('^(a+)+$')`, ['req']);
  assert.equal(program.evaluate({ req: { text: evil } }), false);
  assert.throws(() => program.evaluate({ req: { text: 'a'.repeat(10_000) } }), /too long/);
  const nested = compileCel('req.list.exists(a, req.list.exists(b, a == b + 1.0 && false))', ['req']);
  assert.throws(
    () => nested.evaluate({ req: { list: Array.from({ length: 5000 }, (_, at) => at) } }),
    /nested loops/,
  );
  const sets = compileCel('sets.contains(req.list, req.list)', ['req']);
  assert.throws(
    () => sets.evaluate({ req: { list: Array.from({ length: 5000 }, (_, at) => at) } }),
    /too long/,
  );
  const huge = compileCel(`req.text.replace('a', req.text)`, ['req']);
  assert.throws(() => huge.evaluate({ req: { text: evil } }), /too long/);
  assert.throws(() => compileCel(`${'['.repeat(200)}1${']'.repeat(200)}`, ['req']), CelError);
  assert.ok(performance.now() - began < 3000, `${performance.now() - began} ms`);
});
