import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatOfName, parseText } from './parse.ts';
import { JsonSyntaxError, parseJsonDocument } from './parse-json.ts';
import { ConfigError } from './problems.ts';

const messageOf = (text: string, format: 'json' | 'yaml' | 'toml' | null): string => {
  try {
    parseText(text, format);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return 'accepted';
};

describe('the JSON of a configuration', () => {
  it('means what JSON.parse says, for every value', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 2, '\t'), (text, indent) => {
        const written = JSON.stringify(JSON.parse(text), null, indent);
        assert.deepEqual(parseJsonDocument(written, 64).value, JSON.parse(written));
      }),
    );
  });

  it('is refused where JSON.parse refuses it, for every text near to JSON', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"a"',
      '"\\u00e9"',
      '1',
      '-',
      '01',
      '1.',
      '.5',
      '1e5',
      'true',
      'nul',
      ' ',
      '\n',
      '"',
      '\\',
      '\t"\t"',
      '//',
      "'a'",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        assert.equal(
          accepts(() => parseJsonDocument(text, 64)),
          accepts(() => JSON.parse(text)),
          text,
        );
      }),
      { numRuns: 5000 },
    );
  });

  for (const [text, message] of [
    ['{"a": 1,}', /line 1, column 9: expected a key in double quotes, found "}"/],
    ['{\n  "a": 1\n  "b": 2\n}', /line 3, column 3: expected "," or "}", found "\\""/],
    ['{"a" 1}', /expected ":" after the key "a"/],
    ['{"a": // 1\n}', /column 7: expected a value, found a comment, which JSON does not have/],
    ["{'a': 1}", /expected a key in double quotes, found "'"/],
    ['{"a": "b', /the text in double quotes does not end/],
    ['{"a": "b\nc"}', /column 7: the text in double quotes holds a line break/],
    ['{"a": 1} x', /expected the end of the file, found "x"/],
    ['{"a": [1, 2', /expected "," or "\]", found the end of the file/],
    ['{"a": tru}', /expected a value, found "t"/],
  ] as const) {
    it(`names the place of a fault: ${JSON.stringify(text)}`, () =>
      assert.match(messageOf(text, 'json'), message));
  }

  it('has lines for every place', () => {
    const { findLine, value } = parseText('{\n"a": {\n"b": [\n1,\n{"c": 2}\n]}}', 'json');
    assert.deepEqual(value, { a: { b: [1, { c: 2 }] } });
    const lines = [['a'], ['a', 'b'], ['a', 'b', 0], ['a', 'b', 1, 'c'], ['a', 'missing'], ['missing']].map(
      findLine,
    );
    assert.deepEqual(lines, [2, 3, 4, 5, 2, null]);
  });

  it('keeps a key __proto__ as a key', () => {
    const { value } = parseText('{"__proto__": {"a": 1}}', 'json');
    assert.deepEqual(Object.keys(value as object), ['__proto__']);
    assert.equal(({} as { a?: number }).a, undefined);
  });
});

describe('the YAML of a configuration', () => {
  it('has lines for every place, anchors and merged keys', () => {
    const text = 'base: &base\n  gc: true\nother:\n  <<: *base\n  list:\n    - x: 1\n';
    const { value, findLine } = parseText(text, 'yaml');
    assert.deepEqual(value, { base: { gc: true }, other: { gc: true, list: [{ x: 1 }] } });
    assert.deepEqual([['other'], ['other', 'list', 0, 'x']].map(findLine), [3, 6]);
  });

  it('is refused where a key stands twice, naming all', () => {
    const message = messageOf('a: 1\nb:\n  c: 1\n  c: 2\na: 2\n', 'yaml');
    assert.match(message, /line 4, column 3: the key "c" stands twice/);
    assert.match(message, /line 5, column 1: the key "a" stands twice/);
  });

  it('reads yes and no as texts, as zot does', () => {
    assert.deepEqual(parseText('a: yes\nb: 8080\nc: true', 'yaml').value, { a: 'yes', b: 8080, c: true });
  });

  it('is refused with several documents, with keys that are no texts, and with endless aliases', () => {
    assert.match(messageOf('a: 1\n---\nb: 1\n', 'yaml'), /not valid YAML/);
    assert.match(messageOf('? [a]\n: 1\n', 'yaml'), /not valid YAML/);
    const laughs = Array.from(
      { length: 30 },
      (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n}, `.repeat(9)}*l${n}]`,
    );
    assert.match(messageOf(['l0: &l0 [x]', ...laughs].join('\n'), 'yaml'), /not valid YAML|deeper/);
  });
});

describe('the format of a configuration', () => {
  it('follows the ending of the name, in any case', () => {
    const names = [
      'a.json',
      'a.JSON',
      'a.yaml',
      'a.YML',
      'a.toml',
      'zot.conf',
      'json',
      '/etc/zot.d/config',
      'a.json.bak',
    ];
    const formats = ['json', 'json', 'yaml', 'yaml', 'toml', null, null, null, null];
    assert.deepEqual(names.map(formatOfName), formats);
  });

  it('is found where the name does not tell', () => {
    for (const text of ['{"http": {"port": 1}}', 'http:\n  port: 1', '[http]\nport = 1', 'http.port = 1']) {
      assert.equal(JSON.stringify(parseText(text, null).value), '{"http":{"port":1}}');
    }
  });

  it('is the one that a broken text looks like, in its error', () => {
    assert.match(messageOf('{"http": {"port": 1}', null), /not valid JSON: line 1, column 21/);
    assert.match(messageOf('[http]\nport = \n', null), /not valid TOML: line 2/);
    assert.match(messageOf('http:\n  port: 1\n storage: 2\n', null), /not valid YAML: line 3/);
  });
});

describe('what cannot be a configuration', () => {
  const all = ['json', 'yaml', 'toml', null] as const;
  for (const [title, text, formats] of [
    ['lists', '['.repeat(100_000), all],
    ['closed lists', '['.repeat(100_000) + ']'.repeat(100_000), all],
    ['objects', '{"a":'.repeat(100_000), all],
    ['dashes', '- '.repeat(100_000), all],
    ['dotted keys', `${Array.from({ length: 100_000 }, () => 'a').join('.')} = 1`, ['toml', null] as const],
  ] as const) {
    it(`is refused soon, with 100,000 levels of ${title}`, () => {
      const started = performance.now();
      for (const format of formats) assert.match(messageOf(text, format), /nest|not valid|deeper/i);
      assert.ok(performance.now() - started < 10_000);
    });
  }
});

function accepts(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    assert.ok(error instanceof SyntaxError || error instanceof JsonSyntaxError, String(error));
    return false;
  }
}
