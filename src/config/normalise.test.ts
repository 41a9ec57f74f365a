import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ConfigError, configFromObject, type Config } from './config.ts';
import { isHollow } from './normalise.ts';
import { configSchema } from './schema/schema.ts';
import { shapeOf } from './schema/walk.ts';

const load = (object: unknown): Config => configFromObject(object).config;

describe('weak types', () => {
  it('make texts of numbers and booleans', () => {
    for (const [written, text] of [
      [8080, '8080'],
      [1.5, '1.5'],
      [1e21, '1000000000000000000000'],
      [1e-7, '0.0000001'],
      [true, '1'],
      [false, '0'],
    ] as const) {
      assert.equal(load({ http: { realm: written } }).http.realm, text);
    }
  });

  it('make true and false of numbers and of the words of Go', () => {
    for (const written of [1, -1, 0.5, '1', 't', 'T', 'TRUE', 'true', 'True', true]) {
      assert.equal(load({ storage: { readOnly: written } }).storage.readOnly, true, String(written));
    }
    for (const written of [0, '0', 'f', 'F', 'FALSE', 'false', 'False', '', false]) {
      assert.equal(load({ storage: { gc: written } }).storage.gc, false, String(written));
    }
  });

  it('make whole numbers of texts, booleans and fractions', () => {
    for (const [written, number] of [
      ['12', 12],
      ['+12', 12],
      ['0x1F', 31],
      ['0o17', 15],
      ['0b11', 3],
      ['', 0],
      [true, 1],
      [3.9, 3],
      ['0', 0],
    ] as const) {
      assert.equal(load({ storage: { maxRepos: written } }).storage.maxRepos, number, String(written));
    }
    for (const written of ['1.5', '010', 'x', 1e300, NaN, [], {}, '99999999999999999999']) {
      assert.throws(() => load({ storage: { maxRepos: written } }), ConfigError, JSON.stringify(written));
    }
  });

  it('make lists of single values and objects, and do not split texts', () => {
    assert.deepEqual(load({ http: { compat: 'docker2s2' } }).http.compat, ['docker2s2']);
    assert.deepEqual(load({ http: { compat: 'a,b' } }).http.compat, ['a,b']);
    const { policies } =
      load({ storage: { retention: { policies: { repositories: 'a/**' } } } }).storage.retention ?? {};
    assert.deepEqual(
      policies?.map(({ repositories }) => repositories),
      [['a/**']],
    );
  });

  it('read ports, sizes and levels in all their forms', () => {
    for (const [written, port] of [
      ['', 0],
      ['0', 0],
      [0, 0],
      ['65535', 65_535],
      [8080, 8080],
      ['+80', 80],
    ] as const) {
      assert.equal(load({ http: { port: written } }).http.port, port);
    }
    for (const [written, bytes] of [
      ['8MiB', 8_388_608],
      [1024, 1024],
      ['1k', 1024],
    ] as const) {
      assert.equal(load({ http: { maxManifestSize: written } }).http.maxManifestSize, bytes);
    }
    for (const [written, unit, amount] of [
      ['1GiB', 'bytes', 2 ** 30],
      ['2%', 'percent', 2],
      ['2.5 %', 'percent', 2.5],
      [0, 'bytes', 0],
      ['0', 'bytes', 0],
    ] as const) {
      assert.deepEqual(load({ storage: { minFreeSpace: written } }).storage.minFreeSpace, { unit, amount });
    }
    for (const [written, level] of [
      ['TRACE', 'debug'],
      ['Warning', 'warn'],
      ['fatal', 'error'],
      ['panic', 'error'],
      ['INFO', 'info'],
    ] as const) {
      assert.equal(load({ log: { level: written } }).log.level, level);
    }
  });

  it('take null as absence, and as the zero value in a list', () => {
    const { http, storage } = load({ http: { port: null, compat: [null], auth: null }, storage: null });
    assert.equal(http.port, 8080);
    assert.deepEqual(http.compat, ['']);
    assert.equal(storage.gc, true);
    assert.equal(load({ http: { tls: null } }).http.tls, undefined);
    const { policies } = load({ storage: { retention: { policies: [null] } } }).storage.retention ?? {};
    assert.deepEqual(policies?.[0]?.repositories, []);
  });
});

describe('keys', () => {
  it('match in any case, at any depth, within lists and drivers', () => {
    const { config } = configFromObject({
      STORAGE: {
        rootdirectory: '/srv/one',
        DEDUPE: false,
        storagedriver: { NAME: 's3', Bucket: 'b', REGION: 'r' },
        Retention: { POLICIES: [{ Repositories: ['**'], keeptags: [{ PulledWithin: '1h' }] }] },
      },
      Http: { Auth: { HTPasswd: { Path: 'p' } } },
    });
    const { storageDriver, retention } = config.storage;
    assert.equal(storageDriver?.name === 's3' ? storageDriver.bucket : null, 'b');
    assert.equal(retention?.policies[0]?.keepTags[0]?.pulledWithin, 3_600_000);
    assert.equal(config.http.auth.htpasswd?.path, 'p');
  });

  it('that the user chooses keep their letters, dots, slashes and colons', () => {
    const repositories = {
      'a::b/**': { anonymousPolicy: ['read'] },
      'Team.X/*': { anonymousPolicy: ['read'] },
    };
    const { accessControl } = load({
      http: { accessControl: { repositories, groups: { Admins: { users: ['a'] } } } },
    }).http;
    assert.deepEqual(Object.keys(accessControl?.repositories ?? {}), ['a::b/**', 'Team.X/*']);
    assert.deepEqual(Object.keys(accessControl?.groups ?? {}), ['Admins']);
    const sinks = [{ type: 'http', address: 'a', headers: { 'X-Api-Key': 'b' } }];
    const { events } = load({ extensions: { events: { sinks } } }).extensions;
    assert.deepEqual(events?.sinks[0]?.headers, { 'X-Api-Key': 'b' });
  });

  it('are named in errors as the user wrote them', () => {
    try {
      load({ STORAGE: { GCDELAY: 'soon', SubPaths: { '/A b': { Gc: 'maybe' } } } });
      assert.fail('accepted');
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(
        error.problems.map(({ path }) => path),
        ['STORAGE.GCDELAY', 'STORAGE.SubPaths["/A b"].Gc'],
      );
    }
  });

  it('named like parts of objects are keys like others', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      assert.throws(() => load({ http: { [name]: 1 } }), /unknown key/);
      const { accessControl } = load({
        http: {
          accessControl: {
            repositories: { '**': { anonymousPolicy: ['read'] } },
            groups: { [name]: { users: ['a'] } },
          },
        },
      }).http;
      assert.deepEqual(Object.keys(accessControl?.groups ?? {}), [name]);
    }
    const polluting: unknown = JSON.parse(
      '{"http": {"accessControl": {"groups": {"__proto__": {"users": ["a"]}}}}}',
    );
    assert.throws(() => load(polluting), /cannot be used/);
  });

  it('with faults do not hide the faults of others', () => {
    try {
      load({
        http: { port: 'x', tls: { cert: 5, key: [] }, nonsense: 1 },
        log: { level: 'loud' },
        cluster: {},
        extra: {},
      });
      assert.fail('accepted');
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      const paths = error.problems.map(({ path }) => path).sort();
      const expected = [
        'cluster.hashKey',
        'cluster.members',
        'extra',
        'http.nonsense',
        'http.port',
        'http.tls.key',
        'log.level',
      ];
      assert.deepEqual(paths, expected);
    }
  });
});

describe('empty objects', () => {
  it('are told from objects with something in them, as zot does', () => {
    for (const hollow of [{}, { a: null }, { a: { b: {} } }]) assert.equal(isHollow(hollow), true);
    for (const full of [{ a: 0 }, { a: [] }, { a: { b: false } }, [], null, '', 1])
      assert.equal(isHollow(full), false);
  });
});

describe('whatever is given', () => {
  it('only a ConfigError is thrown, however near the object is to a configuration', () => {
    let accepted = 0;
    fc.assert(
      fc.property(nearTo(configSchema), (object) => {
        try {
          configFromObject(object);
          accepted += 1;
        } catch (error) {
          assert.ok(
            error instanceof ConfigError,
            error instanceof Error ? (error.stack ?? '') : String(error),
          );
        }
      }),
      { numRuns: 500 },
    );
    assert.ok(accepted > 25, `only ${accepted} of 500 were accepted: the objects are not near enough`);
  });

  it('only a ConfigError is thrown for any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          configFromObject(value);
        } catch (error) {
          assert.ok(error instanceof ConfigError);
        }
      }),
    );
  });

  it('endless and huge objects are refused', () => {
    const endless: Record<string, unknown> = {};
    Object.assign(endless, { a: endless, b: endless });
    assert.throws(() => configFromObject(endless), ConfigError);
    let deep: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) deep = { http: deep };
    assert.throws(() => configFromObject(deep), ConfigError);
  });
});

const junk = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.integer(),
  fc.double(),
  fc.constantFrom(
    null,
    undefined,
    true,
    [],
    {},
    [null],
    '**',
    '[',
    '1GiB',
    1n,
    new Date(0),
    Symbol.iterator,
    () => 1,
  ),
);

/** Objects of the declared shape, with junk here and there. */
function nearTo(schema: Parameters<typeof shapeOf>[0]): fc.Arbitrary<unknown> {
  return fc.oneof({ arbitrary: shapedAs(schema), weight: 30 }, { arbitrary: junk, weight: 1 });
}

function shapedAs(schema: Parameters<typeof shapeOf>[0]): fc.Arbitrary<unknown> {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case 'object': {
      const keys = [...shape.keys.values()].map(({ name, schema: inner }) => [name, nearTo(inner)] as const);
      return fc
        .subarray(keys, { maxLength: Math.min(4, keys.length) })
        .chain((chosen) => fc.record(Object.fromEntries(chosen)));
    }
    case 'map':
      return fc.dictionary(
        fc.constantFrom('**', 'a', 'A', '/a', '[', 'github', 'oidc'),
        nearTo(shape.values),
        { maxKeys: 2 },
      );
    case 'list':
      return fc.array(nearTo(shape.items), { maxLength: 2 });
    case 'driver':
      return fc.oneof(...[...shape.options.values()].map(shapedAs));
    case 'literal':
      return fc.constant(shape.value);
    case 'form':
      return fc.constantFrom(...formValues[shape.form.kind]);
    case 'flag':
      return fc.boolean();
    case 'integer':
    case 'decimal':
      return fc.constantFrom(0, 1, '2', -1);
    default:
      return fc.constantFrom('', 'a', 'https://a.example', 'read', '**', '(');
  }
}

const formValues = {
  duration: ['1h', '0', '-1s', 5],
  port: [0, '5000'],
  size: ['1MiB', 5],
  freeSpace: ['1%', '1GiB'],
  logLevel: ['trace', 'warn'],
  choice: ['http', 'nats', 'kafka'],
} as const;
