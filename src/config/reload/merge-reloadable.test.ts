import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromObject, halfGuarded, mergeReloadable } from '../config.ts';
import type { Config } from '../config.ts';

const config = (changes: { http?: object; storage?: object; log?: object } = {}): Config =>
  configFromObject({
    storage: { rootDirectory: '/data', ...changes.storage },
    http: { address: '127.0.0.1', port: 5000, workers: 2, ...changes.http },
    log: { level: 'info', ...changes.log },
  }).config;

const anonymous = (actions: string[]): object => ({ repositories: { '**': { anonymousPolicy: actions } } });

test('nothing changed is the same configuration', () => {
  const running = config();
  const merged = mergeReloadable(running, config());
  assert.equal(merged.config, running);
  assert.deepEqual([merged.applied, merged.needsRestart], [[], []]);
});

test('what may change is taken over, and the rest is named', () => {
  const wanted = config({
    http: { port: 6000, accessControl: anonymous(['read']), auth: { failDelay: 3 } },
    log: { level: 'warn', output: '/log' },
    storage: { rootDirectory: '/elsewhere', gcInterval: '3h' },
  });
  const merged = mergeReloadable(config(), wanted);
  assert.deepEqual(merged.applied.toSorted(), [
    'http.accessControl',
    'http.auth.failDelay',
    'log.level',
    'storage.gcInterval',
  ]);
  assert.deepEqual(merged.needsRestart.toSorted(), ['http.port', 'log.output', 'storage.rootDirectory']);
  const { http, log, storage } = merged.config;
  assert.deepEqual(http.accessControl, wanted.http.accessControl);
  assert.deepEqual([http.port, http.auth.failDelay], [5000, 3]);
  assert.deepEqual([log.level, log.output], ['warn', '']);
  assert.deepEqual([storage.rootDirectory, storage.gcInterval], ['/data', 3 * 3_600_000]);
  assert.ok(Object.isFrozen(merged.config.http));
});

test('sign-in and policies do not change while another guard waits for a restart', () => {
  const running = config({ http: { accessControl: anonymous(['read']), address: '0.0.0.0' } });
  const opened = mergeReloadable(running, config());
  assert.match(halfGuarded(opened) ?? '', /^http.accessControl cannot .* http.address waits/);
  const guarded = config({ http: { tls: { cert: '/c', key: '/k', cacert: '/ca', clientAuth: 'require' } } });
  assert.match(
    halfGuarded(mergeReloadable(config({ http: { accessControl: anonymous(['read']) } }), guarded)) ?? '',
    /http.tls waits/,
  );
  assert.equal(
    halfGuarded(mergeReloadable(running, config({ http: { address: '0.0.0.0', realm: 'x' } }))),
    null,
  );
});

test('a section that goes is gone', () => {
  const running = config({ http: { accessControl: anonymous(['read']) } });
  const merged = mergeReloadable(running, config());
  assert.equal('accessControl' in merged.config.http, false);
  assert.deepEqual(merged.applied, ['http.accessControl']);
});

test('stores that come or go wait for a restart; the keys of those that stay do not', () => {
  const store = (gcDelay: string): object => ({ rootDirectory: '/a', gc: true, gcDelay, gcInterval: '1h' });
  const running = config({ storage: { subPaths: { '/a': store('1h') } } });
  const wanted = config({
    storage: { subPaths: { '/a': store('2h'), '/b': { rootDirectory: '/b' } } },
  });
  const merged = mergeReloadable(running, wanted);
  assert.deepEqual(merged.needsRestart, ['storage.subPaths["/b"]']);
  assert.deepEqual(Object.keys(merged.config.storage.subPaths), ['/a']);
  assert.equal(merged.config.storage.subPaths['/a']?.gcDelay, 2 * 3_600_000);
  assert.deepEqual(mergeReloadable(wanted, running).needsRestart, ['storage.subPaths["/b"]']);
});

test('merging twice gives the same', () => {
  const wanted = config({ http: { port: 6000, accessControl: anonymous(['read']) } });
  const once = mergeReloadable(config(), wanted);
  const twice = mergeReloadable(once.config, wanted);
  assert.deepEqual(twice.config, once.config);
  assert.deepEqual([twice.applied, twice.needsRestart], [[], ['http.port']]);
});
