import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { schemaCommand } from '../../src/cli/schema.ts';
import { verifyCommand } from '../../src/cli/verify.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'zot-verify-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function verify(config: unknown, flags: { strict?: boolean; json?: boolean } = {}): Promise<Outcome> {
  const path = join(folder, 'config.json');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  const written = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') => ({ write: (text: string) => (written[name] += text) });
  const io = { stdout: sink('stdout'), stderr: sink('stderr') };
  const code = await verifyCommand({ path, strict: false, json: false, ...flags }, io);
  return { code, ...written };
}

const sound = { storage: { rootDirectory: '/srv/one' }, http: { port: '5000' } };

describe('zot verify', () => {
  it('says in one line of the log that a configuration is valid', async () => {
    const { code, stdout, stderr } = await verify(sound);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    const line = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(
      [line.level, line.message, line.config],
      ['info', 'config file is valid', join(folder, 'config.json')],
    );
  });

  it('lists all that is wrong, each with zot’s words, the key and the line', async () => {
    const { code, stdout, stderr } = await verify({
      http: { port: 'x', realmm: 'a' },
      log: { level: 'loud' },
    });
    assert.equal(code, 1);
    assert.match(stdout, /"message":"invalid config file"/);
    assert.match(stderr, /^Error: invalid server config: invalid port x: .* \(at http\.port, line 3\)$/m);
    assert.match(
      stderr,
      /^Error: invalid server config: unknown key "realmm"; did you mean "realm"\? \(at http\.realmm, line 4\)$/m,
    );
    assert.match(stderr, /^Error: invalid server config: invalid log level 'loud'/m);
  });

  it('says where the syntax is wrong', async () => {
    const { code, stderr } = await verify('{"http": {"port": 1},}');
    assert.equal(code, 1);
    assert.match(stderr, /^Error: invalid server config: the file is not valid JSON: line 1, column 22/);
  });

  it('warns, and with --strict makes errors of warnings and missing files', async () => {
    const config = {
      ...sound,
      http: { tls: { cert: '/nowhere/cert.pem', key: '/nowhere/key.pem' }, compat: ['other'] },
    };
    const mild = await verify(config);
    assert.equal(mild.code, 0);
    assert.match(mild.stderr, /^Warning: compat "other" has no effect/m);
    assert.match(mild.stderr, /^Warning: \/nowhere\/key\.pem does not exist \(at http\.tls\.key\)$/m);
    const strict = await verify(config, { strict: true });
    assert.equal(strict.code, 1);
    assert.match(strict.stderr, /^Error: invalid server config: compat "other" has no effect/m);
    assert.match(strict.stderr, /^Error: invalid server config: \/nowhere\/cert\.pem does not exist/m);
    assert.equal((await verify(sound, { strict: true })).code, 0);
  });

  it('prints one JSON object for programs', async () => {
    const { code, stdout, stderr } = await verify({ http: { prot: 1 } }, { json: true });
    assert.equal(code, 1);
    assert.equal(stderr, '');
    const verdict = JSON.parse(stdout) as { valid: boolean; problems: { path: string; line: number }[] };
    assert.equal(verdict.valid, false);
    assert.deepEqual([verdict.problems[0]?.path, verdict.problems[0]?.line], ['http.prot', 3]);
    const good = JSON.parse((await verify(sound, { json: true })).stdout) as { valid: boolean };
    assert.equal(good.valid, true);
  });

  it('compiles conditions and mappings of claims', async () => {
    const policy = {
      users: ['a'],
      actions: ['read'],
      conditions: [{ expression: 'req.method == "GET"' }, { expression: 'req.method ==' }],
    };
    const oidc = [{ issuer: 'i', audiences: ['a'], claimMapping: { username: 'claims.(' } }];
    const accessControl = { repositories: { '**': { policies: [policy] } } };
    const { stderr } = await verify({ ...sound, http: { auth: { bearer: { oidc } }, accessControl } });
    assert.match(stderr, /repositories\["\*\*"\]\.policies\[0\]: condition\[1\]: /);
    assert.match(
      stderr,
      /the CEL expression cannot be compiled.*\(at http\.auth\.bearer\.oidc\[0\]\.claimMapping\.username/,
    );
    assert.doesNotMatch(stderr, /condition\[0\]/);
  });

  it('touches nothing', async () => {
    const output = join(folder, 'registry.log');
    const rootDirectory = join(folder, 'root');
    await verify({ storage: { rootDirectory }, log: { output, audit: output } });
    assert.equal(existsSync(output), false);
    assert.equal(existsSync(rootDirectory), false);
  });
});

describe('zot schema', () => {
  it('prints the schema as JSON', () => {
    let text = '';
    const sink = { write: (part: string) => (text += part) };
    assert.equal(schemaCommand({ stdout: sink, stderr: sink }), 0);
    assert.equal((JSON.parse(text) as { title: string }).title, 'zot config schema');
  });
});
