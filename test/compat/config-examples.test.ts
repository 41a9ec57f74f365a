import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { configFromObject, configJsonSchema, loadConfig } from '#config';
import { verifyCommand } from '../../src/cli/verify.ts';

/**
 * Files with the shapes of zot's examples, one for each that it ships: every feature that a user may have configured.
 * Paths of secret files are relative to the root of the repository, as zot's are.
 */
const folder = join(import.meta.dirname, 'config');
const root = dirname(dirname(import.meta.dirname));
const files = readdirSync(folder).filter((name) => extname(name) !== '');

/** What the examples are remarked on for; all others are accepted in silence. */
const remarks = new Map([
  ['all-extensions.json', ['extensions.metrics', 'extensions.mgmt']],
  ['all-remote.json', ['storage.rootDirectory']],
]);

function inRoot<T>(run: () => T): T {
  const before = process.cwd();
  process.chdir(root);
  try {
    return run();
  } finally {
    process.chdir(before);
  }
}

describe('the examples', () => {
  it('are all there', () => {
    assert.ok(files.length >= 58, `only ${files.length} files`);
  });

  for (const name of files) {
    it(`${name} is accepted`, () => {
      const { warnings } = inRoot(() => loadConfig(join(folder, name)));
      assert.deepEqual(
        warnings.map(({ path }) => path),
        remarks.get(name) ?? [],
      );
    });
  }

  it('pass zot verify, which names nothing but files that are not on this machine', async () => {
    for (const name of files) {
      const out: string[] = [];
      const io = {
        stdout: { write: (text: string) => out.push(text) },
        stderr: { write: (text: string) => out.push(text) },
      };
      const before = process.cwd();
      process.chdir(root);
      const code = await verifyCommand({ path: join(folder, name), strict: false, json: false }, io);
      process.chdir(before);
      assert.equal(code, 0, `${name}: ${out.join('')}`);
      assert.match(out.join(''), /config file is valid/);
    }
  });

  it('fit the JSON Schema', () => {
    const schema = z.fromJSONSchema(configJsonSchema());
    for (const name of files.filter((file) => file.endsWith('.json'))) {
      const result = schema.safeParse(JSON.parse(readFileSync(join(folder, name), 'utf8')));
      assert.ok(result.success, `${name}: ${JSON.stringify(result.error?.issues.slice(0, 3))}`);
    }
  });

  it('give their secrets to the configuration', () => {
    const { auth } = inRoot(() => loadConfig(join(folder, 'openid.json'))).config.http;
    assert.equal(auth.openid?.providers.oidc?.clientid, 'id-of-client');
    assert.equal(auth.sessionHashKey, '0123456789abcdef0123456789abcdef');
    const { ldap } = inRoot(() => loadConfig(join(folder, 'lower-case.yaml'))).config.http.auth;
    assert.equal(ldap?.bindPassword, 'ldap-secret');
  });
});

describe('the JSON Schema', () => {
  const schema = z.fromJSONSchema(configJsonSchema());

  it('has a title, descriptions and defaults', () => {
    const written = JSON.stringify(configJsonSchema());
    assert.match(
      written,
      /"\$schema":"http:\/\/json-schema.org\/draft-07\/schema#","title":"zot config schema"/,
    );
    assert.match(
      written,
      /"gcMaxSchedulerDelay":\{"description":"[^"]+","type":\["string","number"\],"pattern":"[^"]+","default":"30s"\}/,
    );
  });

  it('accepts what zot’s own schema refuses: ports as numbers, credentials of sinks', () => {
    const sinks = [
      { type: 'nats', address: 'a', credentials: { token: 't' }, tlsConfig: { caCertFile: 'c' } },
    ];
    const object = { http: { port: 8080 }, extensions: { events: { enable: true, sinks } } };
    assert.ok(schema.safeParse(object).success);
    configFromObject(object);
  });

  for (const [title, object] of [
    ['an unknown key', { http: { prot: 1 } }],
    ['a duration without a unit', { storage: { gcDelay: '10' } }],
    ['a port beyond the range', { http: { port: 70_000 } }],
    ['a store of an unknown kind', { storage: { storageDriver: { name: 'swift' } } }],
    ['a sink of an unknown kind', { extensions: { events: { sinks: [{ type: 'kafka' }] } } }],
    ['inline LDAP secrets', { http: { auth: { ldap: { bindDN: 'a' } } } }],
  ] as const) {
    it(`refuses ${title}, as the loader does`, () => {
      assert.equal(schema.safeParse(object).success, false);
      assert.throws(() => configFromObject(object));
    });
  }
});
