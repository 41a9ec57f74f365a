import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConfigError, configFromObject, findMissingFiles, loadConfig, type ConfigProblem } from './config.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'zot-config-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file for one test; gives its path. */
function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function problemsOf(load: () => unknown): readonly ConfigProblem[] {
  try {
    load();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

function assertProblem(load: () => unknown, path: string, message: RegExp): void {
  const problems = problemsOf(load);
  assert.ok(
    problems.some((problem) => problem.path === path && message.test(problem.message)),
    JSON.stringify(problems),
  );
}

describe('a configuration file', () => {
  for (const [title, name, content, message] of [
    [
      'that is empty',
      'empty.json',
      '',
      /not valid JSON: line 1, column 1: expected a value, found the end of the file/,
    ],
    [
      'that is empty YAML',
      'empty.yaml',
      '# nothing\n',
      /^failed to load config due to the absence of any key:value pair/,
    ],
    [
      'that is an empty object',
      'object.json',
      '{}',
      /^failed to load config due to the absence of any key:value pair/,
    ],
    [
      'that holds only empty objects',
      'hollow.json',
      '{"http": {"tls": {}}, "log": null}',
      /^failed to load config due to the absence/,
    ],
    ['that is a list', 'list.json', '[1]', /^expected an object/],
    ['that is no text', 'binary.json', new Uint8Array([0xff, 0xfe, 0x00]), /is not text in UTF-8/],
  ] as const) {
    it(`${title} is refused`, () => assertProblem(() => loadConfig(file(name, content)), '', message));
  }

  it('that does not exist, or is a folder, is refused in one line', () => {
    assertProblem(
      () => loadConfig(join(folder, 'missing.json')),
      '',
      /cannot be read: there is no such file/,
    );
    assertProblem(() => loadConfig(folder), '', /cannot be read: it is a folder/);
  });

  it('of 50 MB is refused at once', () => {
    const path = file('huge.json', '{');
    truncateSync(path, 50_000_000);
    const started = performance.now();
    assertProblem(() => loadConfig(path), '', /larger than 4 MiB/);
    assert.ok(performance.now() - started < 1000);
  });

  it('that never ends is refused', { skip: process.platform === 'win32' }, () => {
    assertProblem(() => loadConfig('/dev/zero'), '', /larger than 4 MiB/);
  });

  it('of nothing but faults is refused soon, and not at any length', () => {
    const names = Array.from({ length: 100_000 }, (_, n) => `"gcDely${n}": "${'x'.repeat(10)}"`);
    const path = file(
      'faults.json',
      `{"storage": {${names.join(',')}}, "http": {"${'k'.repeat(1_000_000)}": 1}}`,
    );
    const started = performance.now();
    const problems = problemsOf(() => loadConfig(path));
    assert.ok(performance.now() - started < 10_000);
    assert.equal(problems.length, 101);
    assert.equal(problems.at(-1)?.message, 'and 99901 more');
    assert.ok(JSON.stringify(problems).length < 100_000);
    const long = problemsOf(() => loadConfig(file('long.json', `{"http": {"${'k'.repeat(1_000_000)}": 1}}`)));
    assert.ok(JSON.stringify(long).length < 2000);
  });

  it('may begin with a byte order mark', () => {
    assert.equal(loadConfig(file('bom.json', '\uFEFF{"http": {"port": 1}}')).config.http.port, 1);
  });

  it('names lines in its problems', () => {
    const [problem] = problemsOf(() => loadConfig(file('lines.yaml', 'http:\n  port: 1\n  prot: 2\n')));
    assert.deepEqual([problem?.path, problem?.line], ['http.prot', 3]);
  });

  it('says of a key that is needed that it is missing', () => {
    assertProblem(
      () => configFromObject({ storage: { quotas: [{ maxBytes: 5 }] } }),
      'storage.quotas[0].prefix',
      /^this key is needed, and missing$/,
    );
  });
});

describe('a secret file', () => {
  const ldap = (credentialsFile: string) => (): unknown =>
    configFromObject({
      http: { auth: { ldap: { address: 'a', port: 1, baseDN: 'b', userAttribute: 'u', credentialsFile } } },
    }).config.http.auth.ldap;
  const sessions = (sessionKeysFile: string) => (): unknown =>
    configFromObject({ http: { auth: { sessionKeysFile } } });
  const place = 'http.auth.ldap.credentialsFile';

  it('of LDAP is read in any format and case', () => {
    for (const path of [
      file('one.json', '{"binddn": "d", "BINDPASSWORD": "p"}'),
      file('one.yaml', 'bindDN: d\nbindPassword: p\n'),
      file('one.toml', 'bindDN = "d"\nbindPassword = "p"\n'),
    ]) {
      const { bindDN, bindPassword } = ldap(path)() as { bindDN: string; bindPassword: string };
      assert.deepEqual([bindDN, bindPassword], ['d', 'p']);
    }
  });

  it('of a client wins over what is inline', () => {
    const credentialsFile = file('client.json', '{"clientid": "file", "clientsecret": ""}');
    const oidc = { clientid: 'inline', clientsecret: 's', issuer: 'i', scopes: ['openid'], credentialsFile };
    const { config, warnings } = configFromObject({ http: { auth: { openid: { providers: { oidc } } } } });
    assert.equal(config.http.auth.openid?.providers.oidc?.clientid, 'file');
    assert.equal(config.http.auth.openid.providers.oidc.clientsecret, '');
    assert.equal(
      warnings.some(({ message }) => message.includes('deprecated')),
      false,
    );
  });

  it('of sessions needs one key only, and wins over what is inline', () => {
    const path = file('keys.json', '{"hashKey": "from the file"}');
    const { auth } = configFromObject({
      http: { auth: { sessionKeysFile: path, sessionHashKey: 'a', sessionEncryptKey: 'b' } },
    }).config.http;
    assert.deepEqual([auth.sessionHashKey, auth.sessionEncryptKey], ['from the file', 'b']);
  });

  it('that is wrong is refused, and its secrets are not shown', () => {
    const cases = [
      [
        file('unknown.json', '{"bindDN": "d", "bindPassword": "p", "other": "hidden"}'),
        /^failed to load secret file due to unknown keys: "other"/,
      ],
      [file('unset.json', '{"bindDN": "d"}'), /^failed to load secret file due to unset keys: bindPassword/],
      [file('nothing.json', '{}'), /^failed to load secret file due to the absence of any key:value pair/],
      [file('ending', '{"bindDN": "d", "bindPassword": "p"}'), /^Unsupported Config Type ""/],
      [file('broken.json', '{"bindDN": "d" "bindPassword": "hidden"}'), /not valid JSON: line 1, column 16/],
      [file('typed.json', '{"bindDN": "d", "bindPassword": ["hidden"]}'), /is not a text/],
      [join(folder, 'absent.json'), /cannot be read: there is no such file/],
    ] as const;
    for (const [path, message] of cases) {
      assertProblem(ldap(path), place, message);
      assert.doesNotMatch(JSON.stringify(problemsOf(ldap(path))), /hidden/);
    }
    assertProblem(
      sessions(file('session.json', '{"hash": "a"}')),
      'http.auth.sessionKeysFile',
      /unknown keys: "hash"/,
    );
    const empty = file('zero.json', '{"bindDN": "", "bindPassword": ""}');
    assert.deepEqual(problemsOf(ldap(empty)), []);
  });
});

describe('files that are missing', () => {
  it('are found by the key that names them, everywhere', () => {
    const here = file('here.pem', '');
    const { config } = configFromObject({
      storage: { dedupe: false, storageDriver: { name: 'gcs', bucket: 'b', keyfile: '/nowhere/key.json' } },
      http: {
        tls: { cert: here, key: '/nowhere/key.pem' },
        auth: {
          bearer: { oidc: [{ issuer: 'i', audiences: ['a'], certificateAuthorityFile: '/nowhere/ca.pem' }] },
        },
      },
      extensions: {
        sync: {
          downloadDir: '/nowhere',
          credentialsFile: '/nowhere/sync.json',
          registries: [{ urls: ['a'], onDemand: true, certDir: '/nowhere/certs' }],
        },
      },
    });
    assert.deepEqual(
      findMissingFiles(config).map(({ path }) => path),
      [
        'storage.storageDriver.keyfile',
        'http.tls.key',
        'http.auth.bearer.oidc[0].certificateAuthorityFile',
        'extensions.sync.credentialsFile',
        'extensions.sync.registries[0].certDir',
      ],
    );
  });
});

describe('stores that are kept apart', () => {
  it('are compared behind symbolic links', { skip: process.platform === 'win32' }, () => {
    const link = join(folder, 'link');
    symlinkSync(folder, link);
    const subPaths = { '/a': { rootDirectory: join(link, 'store') } };
    const path = 'storage.subPaths["/a"].rootDirectory';
    const load = (rootDirectory: string) => (): unknown =>
      configFromObject({ storage: { rootDirectory, subPaths } });
    assertProblem(load(join(folder, 'store')), path, /cannot use the same root directory/);
    assertProblem(load(folder), path, /cannot be inside default storage root directory/);
    assert.deepEqual(problemsOf(load(join(folder, 'other'))), []);
  });

  it(
    'may differ in case only, where the system tells them apart',
    { skip: process.platform !== 'linux' },
    () => {
      const subPaths = { '/a': { rootDirectory: '/srv/ONE' } };
      assert.deepEqual(
        problemsOf(() => configFromObject({ storage: { rootDirectory: '/srv/one', subPaths } })),
        [],
      );
    },
  );
});

describe('loading', () => {
  it('writes nothing', () => {
    const empty = mkdtempSync(join(folder, 'untouched-'));
    const config = {
      storage: { rootDirectory: join(empty, 'root') },
      log: { output: join(empty, 'log'), audit: join(empty, 'audit') },
    };
    loadConfig(file('quiet.json', JSON.stringify(config)));
    assert.deepEqual(readdirSync(empty), []);
  });
});
