import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromObject, features } from '#config';
import { pino } from 'pino';
import { CORE_FEATURES, requireFeatures } from './missing-features.ts';

const SILENT = pino({ level: 'silent' });

test('what the build says that it has are features of the configuration', () => {
  const known = features.map(({ name }) => name);
  assert.deepEqual(
    CORE_FEATURES.filter((name) => !known.includes(name)),
    [],
  );
});

test('a configuration that signs users in and restricts them starts', () => {
  const { config } = configFromObject({
    http: {
      auth: { htpasswd: { path: 'htpasswd' }, apikey: true },
      accessControl: {
        repositories: { '**': { policies: [{ users: ['a'], actions: ['read'], conditions: [] }] } },
      },
    },
  });
  requireFeatures(config, { strict: false, logger: SILENT });
});

const NOTHING = { logger: SILENT, available: new Set<string>() };

test('a section whose absence would put images elsewhere is refused, with its place', () => {
  const { config } = configFromObject({
    storage: { rootDirectory: 'x', dedupe: false, storageDriver: { name: 'gcs', bucket: 'b' } },
  });
  assert.throws(() => requireFeatures(config, { ...NOTHING, strict: false }), /storageDriver/);
});

test('any section that is not there is refused when asked to be strict', () => {
  const sinks = [{ type: 'http', address: 'http://127.0.0.1:1' }];
  const { config } = configFromObject({
    storage: { dedupe: false },
    extensions: { events: { enable: true, sinks } },
  });
  requireFeatures(config, { ...NOTHING, strict: false });
  assert.throws(() => requireFeatures(config, { ...NOTHING, strict: true }), /extensions\.events/);
});
