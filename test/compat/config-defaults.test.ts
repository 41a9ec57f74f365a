import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';
import { configFromObject, defaultConfig, type Config } from '#config';
import { auth, extensions, http, registry, remote, s3, storage } from './config-rows.ts';

/** The values that a configuration has where the file says nothing, or says what is set right. */

const load = (object: unknown): Config => configFromObject(object).config;
const hourMs = 3_600_000;

describe('defaults', () => {
  it('start without a file on the local address, in a local folder, with the media types of Docker', () => {
    const config = defaultConfig();
    assert.equal(config.http.address, '127.0.0.1');
    assert.equal(config.http.port, 5000);
    assert.equal(config.storage.rootDirectory, './zot-data');
    assert.deepEqual(config.http.compat, ['docker2s2']);
    assert.equal(config.storage.commit, true);
    assert.equal(config.storage.undo, 24 * hourMs);
    assert.equal(config.log.level, 'info');
  });

  it('are those of zot, except where durability and logs are better served', () => {
    const { storage: store, http: server, log, scheduler } = load({});
    assert.deepEqual(
      { ...store, subPaths: undefined },
      {
        rootDirectory: '',
        dedupe: true,
        gc: true,
        gcDelay: hourMs,
        gcInterval: hourMs,
        gcTimeWindow: '',
        gcMaxSchedulerDelay: 30_000,
        immutableTags: [],
        remoteCache: false,
        redirectBlobURL: false,
        commit: true,
        maxRepos: 0,
        fastRestart: false,
        quotas: [],
        subPaths: undefined,
        readOnly: false,
        minFreeSpace: { unit: 'bytes', amount: 268_435_456 },
      },
    );
    assert.equal(server.port, 8080);
    assert.deepEqual([server.readTimeout, server.writeTimeout, server.idleTimeout], [60_000, 60_000, 60_000]);
    assert.equal(server.workers, availableParallelism());
    assert.equal(server.maxManifestSize, 4_194_304);
    assert.equal(server.shutdownGrace, 30_000);
    assert.deepEqual(log, { level: 'info', output: '', audit: '' });
    assert.equal(scheduler.numWorkers, 0);
  });

  it('are frozen to the last part', () => {
    const config = load(storage({ subPaths: { '/a': { rootDirectory: '/srv/a' } } }));
    assert.throws(() => Object.assign(config.http.compat, { 0: 'x' }), TypeError);
    assert.throws(() => Object.assign(config.storage.subPaths, { '/b': {} }), TypeError);
  });

  it('give a sub-path nothing of the global store', () => {
    const sub = load(storage({ gcDelay: '5h', subPaths: { '/a': { rootDirectory: '/srv/a' } } })).storage
      .subPaths['/a'];
    assert.deepEqual(
      [sub?.dedupe, sub?.gc, sub?.gcDelay, sub?.gcInterval, sub?.commit],
      [false, false, 0, 0, true],
    );
    const collected = load(storage({ subPaths: { '/a': { rootDirectory: '/srv/a', gc: true } } })).storage
      .subPaths['/a'];
    assert.deepEqual([collected?.gcDelay, collected?.gcInterval], [hourMs, hourMs]);
  });

  it('give a sub-path that inherits what it does not say, except folder and object store', () => {
    const config = load(
      storage({
        gcDelay: '5h',
        commit: false,
        retention: { policies: [{ repositories: ['**'] }] },
        subPaths: { '/a': { rootDirectory: '/srv/a', inherit: true, gcDelay: '7h' } },
      }),
    );
    const sub = config.storage.subPaths['/a'];
    assert.deepEqual([sub?.dedupe, sub?.gc, sub?.gcDelay, sub?.commit], [true, true, 7 * hourMs, false]);
    assert.equal(sub?.retention?.policies.length, 1);
    assert.equal(sub?.rootDirectory, '/srv/a');
  });

  it('set delays of collection to 0 where it is off and nothing is given', () => {
    const off = load(storage({ gc: false, retention: {} })).storage;
    assert.deepEqual([off.gcDelay, off.gcInterval, off.retention?.delay], [0, 0, 0]);
    const given = load(storage({ gc: false, gcDelay: '2h', retention: {} })).storage;
    assert.deepEqual([given.gcDelay, given.retention?.delay], [2 * hourMs, 2 * hourMs]);
  });

  it('take the delay of retention from that of collection, unless it is given, also as 0', () => {
    assert.equal(load(storage({ gcDelay: '3h', retention: {} })).storage.retention?.delay, 3 * hourMs);
    assert.equal(load(storage({ gcDelay: '3h', retention: { delay: '0' } })).storage.retention?.delay, 0);
  });

  it('delete untagged manifests unless told otherwise', () => {
    const policies = [{ repositories: ['**'] }, { repositories: ['**'], deleteUntagged: false }];
    const loaded = load(storage({ retention: { policies } })).storage.retention?.policies;
    assert.deepEqual(
      loaded?.map((policy) => policy.deleteUntagged),
      [true, false],
    );
  });

  it('use a remote cache with an object store and dedupe, unless told otherwise', () => {
    const cacheDriver = { name: 'redis' };
    assert.equal(load(storage({ storageDriver: s3, cacheDriver })).storage.remoteCache, true);
    assert.equal(load(storage({ storageDriver: s3, remoteCache: false })).storage.remoteCache, false);
    assert.equal(load(storage(remote)).storage.remoteCache, false);
  });

  it('address buckets by path at an endpoint of one’s own, in the global store only', () => {
    const own = { ...s3, regionendpoint: 'http://a' };
    const config = load(
      storage({
        dedupe: false,
        storageDriver: own,
        subPaths: { '/a': { storageDriver: { ...own, rootdirectory: '/a' } } },
      }),
    );
    const style = ({ storageDriver: driver }: Pick<Config['storage'], 'storageDriver'>): unknown =>
      driver?.name === 's3' ? driver.forcepathstyle : null;
    assert.equal(style(config.storage), true);
    assert.equal(style(config.storage.subPaths['/a'] ?? {}), false);
    assert.equal(
      style(load(storage({ dedupe: false, storageDriver: { ...own, forcepathstyle: false } })).storage),
      false,
    );
  });

  it('put gcs and azure below /zot', () => {
    for (const rootdirectory of [undefined, '', '/']) {
      const driver = load(
        storage({ dedupe: false, storageDriver: { name: 'gcs', bucket: 'b', rootdirectory } }),
      ).storage;
      assert.equal(driver.storageDriver?.rootdirectory, '/zot');
    }
  });

  it('read numbers of object stores as numbers or texts', () => {
    for (const chunksize of [10_485_760, '10485760', 10_485_760.0]) {
      const driver = load(storage({ dedupe: false, storageDriver: { ...s3, ChunkSize: chunksize } })).storage
        .storageDriver;
      assert.equal(driver?.name === 's3' ? driver.chunksize : null, 10_485_760);
    }
  });

  it('take 0 and less as no limit of time', () => {
    const { http: server } = load(http({ readTimeout: '-1s', writeTimeout: 0 }));
    assert.deepEqual([server.readTimeout, server.writeTimeout], [0, 0]);
  });

  it('switch API keys on with OpenID', () => {
    const openid = { providers: { oidc: { clientid: 'c', issuer: 'i', scopes: ['s'] } } };
    assert.equal(load(auth({ apikey: false, openid })).http.auth.apikey, true);
  });

  it('know providers by their lower-case names', () => {
    const openid = { providers: { GitHub: { clientid: 'c', scopes: ['s'] } } };
    assert.deepEqual(Object.keys(load(auth({ openid })).http.auth.openid?.providers ?? {}), ['github']);
  });

  it('raise intervals that are too short, and fill those that are 0', () => {
    const cve = load(extensions({ search: { cve: { updateInterval: '1m' } } })).extensions.search?.cve;
    assert.equal(cve?.updateInterval, 2 * hourMs);
    assert.equal(load(extensions({ scrub: { interval: '1m' } })).extensions.scrub?.interval, 2 * hourMs);
    assert.equal(load(extensions({ scrub: { interval: '0' } })).extensions.scrub?.interval, 24 * hourMs);
    const sinks = [{ type: 'nats', address: 'a', timeout: '0' }];
    assert.equal(load(extensions({ events: { sinks } })).extensions.events?.sinks[0]?.timeout, 30_000);
  });

  it('switch on an extension that is present and empty', () => {
    const loaded = load(
      extensions({ search: {}, ui: {}, scrub: {}, metrics: {}, trust: {}, lint: {}, sync: {}, events: {} }),
    );
    const { search, ui, scrub, metrics, trust, lint, sync, events } = loaded.extensions;
    const all = [search, ui, scrub, metrics, trust, lint, sync, events].map((extension) => extension?.enable);
    assert.deepEqual(all, [true, true, true, true, true, true, true, false]);
    assert.equal(metrics?.prometheus.path, '/metrics');
  });

  it('pace copies as zot does', () => {
    const paced = load(
      registry({ retryDelay: '5s', syncTimeout: '0', disableHTTP2: true, reqConcurrent: 7 }),
    );
    const [first] = paced.extensions.sync?.registries ?? [];
    assert.deepEqual(
      [first?.maxRetryDelay, first?.syncTimeout, first?.responseHeaderTimeout, first?.maxIdleConnsPerHost],
      [5000, 3 * hourMs, 30_000, 7],
    );
    assert.equal(first?.tlsVerify, true);
    assert.equal(load(registry({})).extensions.sync?.registries[0]?.maxIdleConnsPerHost, 2);
  });

  it('scan with the databases of Trivy', () => {
    const trivy = load(extensions({ search: { cve: { updateInterval: '2h' } } })).extensions.search?.cve
      ?.trivy;
    assert.equal(trivy?.dbRepository, 'ghcr.io/aquasecurity/trivy-db');
    assert.equal(trivy?.javaDBRepository, 'ghcr.io/aquasecurity/trivy-java-db');
    assert.deepEqual(trivy?.vulnSeveritySources, ['auto']);
  });
});
