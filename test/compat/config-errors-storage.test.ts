import { describe } from 'node:test';
import { itRefuses, remote, s3, storage } from './config-rows.ts';

const noDatabase = new RegExp(
  '^invalid database config, dedupe set to true with remote storage and database, ' +
    'but no remote database configured',
);

describe('a configuration is refused for', () => {
  itRefuses([
    [
      'a level that does not exist',
      { log: { level: 'loud' } },
      'log.level',
      /^invalid log level 'loud', supported levels are: debug, trace, info, warn, warning, error, fatal, panic$/,
    ],
    ['an empty level', { log: { level: '' } }, 'log.level', /^invalid log level ''/],
    [
      'a negative gcDelay',
      storage({ gcDelay: '-1h' }),
      'storage.gcDelay',
      /^invalid garbage-collect delay specified -1h/,
    ],
    [
      'a negative gcInterval',
      storage({ gcInterval: '-5m' }),
      'storage.gcInterval',
      /^invalid garbage-collect interval specified -5m/,
    ],
    [
      'a gcDelay of 0 in a sub-path',
      storage({ subPaths: { '/a': { rootDirectory: '/srv/a', gc: true, gcDelay: '0' } } }),
      'storage.subPaths["/a"].gcDelay',
      /^invalid GC delay configuration - cannot be negative or zero: 0s/,
    ],
    [
      'a window without an end',
      storage({ gcTimeWindow: '22:00' }),
      'storage.gcTimeWindow',
      /^invalid gcTimeWindow/,
    ],
    [
      'a window of no length',
      storage({ gcTimeWindow: '22:00-22:00' }),
      'storage.gcTimeWindow',
      /^invalid gcTimeWindow/,
    ],
    [
      'a window beyond the day',
      storage({ gcTimeWindow: '22:00-24:30' }),
      'storage.gcTimeWindow',
      /^invalid gcTimeWindow/,
    ],
    [
      'a quota of what is no prefix',
      storage({ quotas: [{ prefix: 'Team/*', maxBytes: '1Gi' }] }),
      'storage.quotas[0].prefix',
      /^no repository begins with "Team\/\*": write whole components/,
    ],
    [
      'two quotas of one prefix',
      storage({
        quotas: [
          { prefix: 'team', maxBytes: '1Gi' },
          { prefix: 'team/', maxBytes: '2Gi' },
        ],
      }),
      'storage.quotas[1].prefix',
      /^"team\/" has a quota already, in entry 0/,
    ],
    [
      'a quota without a size',
      storage({ quotas: [{ prefix: 'team', maxBytes: 'much' }] }),
      'storage.quotas[0].maxBytes',
      /much/,
    ],
    ['an empty duration', storage({ gcDelay: '' }), 'storage.gcDelay', /is not a duration/],
    ['a duration without a unit', storage({ gcDelay: '10' }), 'storage.gcDelay', /is not a duration/],
    ['a duration in days', storage({ gcDelay: '7d' }), 'storage.gcDelay', /"24h"/],
    ['a boolean in words', storage({ gc: 'yes' }), 'storage.gc', /^expected true or false, got "yes"/],
    [
      'a list where a text is expected',
      storage({ rootDirectory: ['a', 'b'] }),
      'storage.rootDirectory',
      /^expected a text, got a list/,
    ],
    [
      'a text where an object is expected',
      { storage: 'here' },
      'storage',
      /^expected an object with keys such as rootDirectory/,
    ],
    [
      'a bad glob of retention',
      storage({ retention: { policies: [{ repositories: ['['] }] } }),
      'storage.retention.policies[0].repositories[0]',
      /^retention repo glob pattern could not be compiled: \[/,
    ],
    [
      'a bad glob of immutable tags',
      storage({ immutableTags: [{ repositories: ['['] }] }),
      'storage.immutableTags[0].repositories[0]',
      /^the glob \[ cannot be used: /,
    ],
    [
      'a bad expression of immutable tags',
      storage({ immutableTags: [{ repositories: ['**'], tags: ['v'], exclude: ['a('] }] }),
      'storage.immutableTags[0].exclude[0]',
      /^the expression a\( cannot be used: /,
    ],
    ['a negative undo', storage({ undo: '-1h' }), 'storage.undo', /^undo cannot be negative: -1h/],
    [
      'a bad expression of retention',
      storage({ retention: { policies: [{ repositories: ['**'], keepTags: [{ patterns: ['a('] }] }] } }),
      'storage.retention.policies[0].keepTags[0].patterns[0]',
      /^retention tag regex could not be compiled: a\(/,
    ],
    [
      'a bad expression of retention in a sub-path',
      storage({
        subPaths: {
          '/a': {
            rootDirectory: '/srv/a',
            retention: { policies: [{ repositories: ['**'], keepTags: [{ patterns: ['(?=a)'] }] }] },
          },
        },
      }),
      'storage.subPaths["/a"].retention.policies[0].keepTags[0].patterns[0]',
      /^retention tag regex could not be compiled/,
    ],
    [
      'an unknown object store',
      storage({ storageDriver: { name: 'swift' } }),
      'storage.storageDriver.name',
      /^unsupported storage driver/,
    ],
    [
      'an object store in capitals',
      storage({ storageDriver: { name: 'S3' } }),
      'storage.storageDriver.name',
      /^unsupported storage driver/,
    ],
    [
      'an object store without a name',
      storage({ storageDriver: { bucket: 'b' } }),
      'storage.storageDriver.name',
      /^unsupported storage driver/,
    ],
    [
      'an object store without a bucket',
      storage({ dedupe: false, storageDriver: { name: 's3', region: 'r' } }),
      'storage.storageDriver.bucket',
      /"bucket" is required/,
    ],
    [
      'an unknown parameter of an object store',
      storage({ dedupe: false, storageDriver: { ...s3, encrpyt: true } }),
      'storage.storageDriver.encrpyt',
      /did you mean "encrypt"/,
    ],
    [
      'parts below the smallest',
      storage({ dedupe: false, storageDriver: { ...s3, chunksize: '1024' } }),
      'storage.storageDriver.chunksize',
      /less than 5 MiB/,
    ],
    [
      'redirection from a local folder',
      storage({ redirectBlobURL: true }),
      'storage.redirectBlobURL',
      /^invalid storage config, redirectBlobURL is supported only for s3\/gcs\/azure storage/,
    ],
    [
      'fastRestart in a sub-path',
      storage({ subPaths: { '/a': { rootDirectory: '/srv/a', fastRestart: true } } }),
      'storage.subPaths["/a"].fastRestart',
      /^unknown key/,
    ],
    [
      'sub-paths in a sub-path',
      storage({ subPaths: { '/a': { rootDirectory: '/srv/a', subPaths: {} } } }),
      'storage.subPaths["/a"].subPaths',
      /^unknown key/,
    ],
    [
      'a remote store with dedupe and no database',
      storage({ storageDriver: s3 }),
      'storage.cacheDriver',
      noDatabase,
    ],
    [
      'the same in a sub-path',
      storage({ subPaths: { '/a': { dedupe: true, storageDriver: s3 } } }),
      'storage.subPaths["/a"].cacheDriver',
      /^invalid database config, dedupe set to true/,
    ],
    [
      'a local folder with DynamoDB',
      storage({ remoteCache: true, cacheDriver: { name: 'dynamodb', cacheTablename: 't' } }),
      'storage.cacheDriver',
      /^invalid database config, cannot have local storage driver with remote database!/,
    ],
    [
      'an unknown database',
      storage({ remoteCache: true, cacheDriver: { name: 'mongo' } }),
      'storage.cacheDriver.name',
      /^invalid database config, unsupported database driver/,
    ],
    [
      'the local cache as a remote one',
      storage({ remoteCache: true, cacheDriver: { name: 'cache' } }),
      'storage.cacheDriver.name',
      /^invalid database config, unsupported database driver/,
    ],
    [
      'two stores in one folder',
      storage({ subPaths: { '/a': { rootDirectory: '/srv/one/' } } }),
      'storage.subPaths["/a"].rootDirectory',
      /^invalid storage config, default storage and substore \(route: \/a\) cannot use the same root directory/,
    ],
    [
      'a store inside another',
      storage({ subPaths: { '/a': { rootDirectory: '/srv/one/x' } } }),
      'storage.subPaths["/a"].rootDirectory',
      /^invalid storage config, substore \(route: \/a\) root directory cannot be inside default storage root directory/,
    ],
    [
      'a store around another',
      storage({ subPaths: { '/a': { rootDirectory: '/srv' } } }),
      'storage.subPaths["/a"].rootDirectory',
      /^invalid storage config, default storage root directory cannot be inside substore \(route: \/a\) root directory/,
    ],
    [
      'two stores with one bucket and prefix',
      storage({ ...remote, subPaths: { '/a': { rootDirectory: '/srv/a', ...remote } } }),
      'storage.subPaths["/a"].storageDriver.rootdirectory',
      /cannot use the same bucket and prefix/,
    ],
    [
      'a percentage above 100',
      storage({ minFreeSpace: '101%' }),
      'storage.minFreeSpace',
      /more than the whole disk/,
    ],
    [
      'a free space that is none',
      storage({ minFreeSpace: 'much' }),
      'storage.minFreeSpace',
      /a percentage such as/,
    ],
    ['gcReferrers', storage({ gcReferrers: true }), 'storage.gcReferrers', /deleteReferrers/],
    [
      'untaggedImageRetentionDelay',
      storage({ untaggedImageRetentionDelay: '1h' }),
      'storage.untaggedImageRetentionDelay',
      /retention\.delay/,
    ],
  ]);
});
