import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { configFromObject } from './config.ts';
import { redact } from './redact.ts';
import { configSchema } from './schema/schema.ts';
import { shapeOf, type KeyShape } from './schema/walk.ts';

type Schema = Parameters<typeof shapeOf>[0];

/** zot's list of names that tell of secrets, without `_` and `-`, and those that it forgets. */
const secretNames = new Set(
  (
    'accesskey secretkey password secret token clientsecret sessionhashkey sessionencryptkey sentinelpassword ' +
    'authorization apikey bearer xapikey accountkey connectionstring sessiontoken hashkey ' +
    'binddn bindpassword credentials'
  ).split(' '),
);

describe('a configuration that is shown', () => {
  const { config } = configFromObject({
    storage: {
      rootDirectory: '/srv/one',
      storageDriver: {
        name: 'azure',
        accountname: 'a',
        container: 'c',
        accountkey: 'leak-1',
        connectionstring: 'leak-2',
        credentials: { type: 't', secret: 'leak-3' },
      },
      remoteCache: true,
      cacheDriver: {
        name: 'redis',
        url: 'redis://user:leak-4@host:1/0?password=leak-5&addr=b',
        password: 'leak-6',
        sentinel_password: 'leak-7',
      },
      subPaths: {
        '/a': {
          dedupe: false,
          storageDriver: {
            name: 's3',
            bucket: 'b',
            region: 'r',
            accesskey: 'leak-8',
            secretkey: 'leak-9',
            sessiontoken: 'leak-10',
          },
        },
        '/b': {
          dedupe: false,
          storageDriver: {
            name: 'gcs',
            bucket: 'b',
            credentials: { private_key: 'leak-11', nested: { deep: ['leak-12'] } },
          },
        },
      },
    },
    http: {
      externalUrl: 'https://a.example',
      auth: {
        sessionHashKey: 'leak-13',
        sessionEncryptKey: 'leak-14',
        openid: {
          providers: {
            oidc: {
              clientid: 'shown',
              clientsecret: 'leak-15',
              issuer: 'https://u:leak/16@i.example/path',
              scopes: ['openid'],
            },
          },
        },
      },
    },
    cluster: { members: ['a:1'], hashKey: 'leak-17-12345678' },
    extensions: {
      events: {
        enable: true,
        sinks: [
          {
            type: 'http',
            address: 'https://u:leak-18@e.example/hook',
            proxy: 'http://u:leak-19@p.example',
            headers: { 'X-Own': 'leak-20' },
            credentials: { username: 'u', password: 'leak-21', token: 'leak-22' },
          },
        ],
      },
      sync: {
        downloadDir: '/tmp/d',
        registries: [{ urls: ['https://u:leak-23@r.example?token=leak-24'], onDemand: true }],
      },
    },
  });
  const shown = redact(config);
  const text = JSON.stringify(shown);

  it('holds no secret', () => assert.doesNotMatch(text, /leak/));

  it('holds everything else', () => {
    assert.match(text, /"clientid":"shown"/);
    assert.match(text, /"url":"redis:\/\/\*{6}@host:1\/0\?password=\*{6}&addr=b"/);
    assert.match(text, /"address":"https:\/\/\*{6}@e\.example\/hook"/);
    assert.match(text, /"headers":\{"X-Own":"\*{6}"\}/);
    assert.match(text, /"externalUrl":"https:\/\/a\.example"/);
    assert.equal((shown as { storage?: { gcDelay?: number } }).storage?.gcDelay, 3_600_000);
  });

  it('shows that a secret is not set', () => {
    const { http } = redact(configFromObject({}).config) as { http: { auth: { sessionHashKey: string } } };
    assert.equal(http.auth.sessionHashKey, '');
  });

  it('leaves the configuration itself alone', () => {
    assert.equal(config.http.auth.sessionHashKey, 'leak-13');
  });
});

describe('the declarations', () => {
  it('call every key secret whose name tells of a secret', () => {
    const open = textKeys(configSchema).filter(({ name, schema, meta }) => {
      const isSecretName = secretNames.has(name.toLowerCase().replaceAll(/[_-]/g, ''));
      // The keys of a section are judged one by one, and a switch tells nothing.
      const { kind } = shapeOf(schema);
      return isSecretName && (kind === 'text' || kind === 'map') && meta.secret !== true;
    });
    assert.deepEqual(open, []);
  });

  it('describe every key in a sentence, and no key twice', () => {
    for (const { name, meta } of textKeys(configSchema)) {
      assert.match(meta.doc, /^.+[.!?]$/s, name);
    }
  });
});

function textKeys(schema: Schema): KeyShape[] {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case 'object':
      return [...shape.keys.values()].flatMap((key) => [key, ...textKeys(key.schema)]);
    case 'map':
      return textKeys(shape.values);
    case 'list':
      return textKeys(shape.items);
    case 'driver':
      return [...shape.options.values()].flatMap(textKeys);
    default:
      return [];
  }
}
