import { z } from 'zod';
import {
  duration,
  flag,
  freeSpace,
  hours,
  integer,
  key,
  seconds,
  section,
  size,
  text,
  textList,
} from './key.ts';
import { cacheDriver, storageDriver } from './drivers.ts';

const mebibyte = 1_048_576;

function keepRules() {
  return {
    mostRecentlyPushedCount: key(integer().default(0), 'Keep this many of those pushed last; 0 is no rule.'),
    mostRecentlyPulledCount: key(integer().default(0), 'Keep this many of those pulled last; 0 is no rule.'),
    pulledWithin: key(duration().optional(), 'Keep what was pulled, or pushed, within this time.'),
    pushedWithin: key(duration().optional(), 'Keep what was pushed within this time.'),
  };
}

const retentionPolicy = () =>
  section({
    repositories: key(
      textList().default([]),
      'Globs of the repositories; the first policy that matches applies.',
    ),
    deleteReferrers: key(flag().default(false), 'Delete referrers whose subject is gone.'),
    deleteUntagged: key(flag().default(true), 'Delete manifests without a tag.'),
    keepTags: key(
      z
        .array(
          section({
            patterns: key(
              textList().default([]),
              'RE2 expressions of tags, unanchored; none means all tags.',
            ),
            ...keepRules(),
          }),
        )
        .default([]),
      'Rules for tags. None: all tags are kept. Otherwise tags that no entry matches are removed.',
    ),
    keepUntagged: key(
      section(keepRules()).optional(),
      'Rules for manifests without a tag; needs `deleteUntagged`. The rules of one entry are joined by "or".',
    ),
  });

const retention = () =>
  section({
    dryRun: key(flag().default(false), 'Only log what would be removed.'),
    delay: key(
      duration().default(0),
      'How old untagged manifests and dangling referrers must be to be removed.',
      {
        defaultText: 'the effective `gcDelay` of the same store; 0 where gc is off',
      },
    ),
    policies: key(z.array(retentionPolicy()).default([]), 'The policies, in order.'),
  });

const immutableTags = () =>
  section({
    repositories: key(textList().default([]), 'Globs of the repositories whose tags are meant.'),
    tags: key(
      textList().default([]),
      'RE2 expressions of the tags, unanchored; none means all tags. A tag that was pushed stays as it is.',
    ),
    exclude: key(textList().default([]), 'RE2 expressions of tags that may be moved all the same.'),
    allowDelete: key(flag().default(false), 'Such tags may be deleted, though not moved.'),
  });

/** The keys of a store. Sub-paths inherit nothing: where zot's defaults are zero for them, so are these. */
function storeKeys(of: { readonly global: boolean }) {
  return {
    rootDirectory: key(
      text().default(''),
      'The folder that holds the repositories. With an object store: the folder of local databases. Required to serve.',
    ),
    dedupe: key(
      flag().default(of.global),
      'Store equal blobs of different repositories once, by hard links.',
      { reloadable: true },
    ),
    gc: key(flag().default(of.global), 'Remove blobs that nothing references.', { reloadable: true }),
    gcDelay: key(duration().default(hours(1)), 'How old garbage must be to be removed.', {
      reloadable: true,
      defaultText: '`1h`; 0 where `gc` is off',
    }),
    gcInterval: key(duration().default(hours(1)), 'The time between two sweeps; 0 is one sweep per start.', {
      reloadable: true,
      defaultText: '`1h`; 0 where `gc` is off',
    }),
    gcTimeWindow: key(text().default(''), 'When sweeps may start: `HH:MM-HH:MM` in UTC, may wrap midnight.', {
      reloadable: true,
      defaultText: 'any time',
    }),
    gcMaxSchedulerDelay: key(
      duration().default(seconds(30)),
      'The longest random pause before a task of a sweep.',
    ),
    retention: key(retention().optional(), 'Which tags and untagged manifests are kept.', {
      reloadable: true,
    }),
    undo: key(
      duration().optional(),
      'How long moved and deleted tags, and deleted manifests, can be restored. Absent or 0: no history is kept.',
      { ours: true, reloadable: true },
    ),
    immutableTags: key(z.array(immutableTags()).default([]), 'Tags that can be pushed once.', {
      ours: true,
      reloadable: true,
    }),
    remoteCache: key(flag().default(false), 'Keep cache and metadata in the database of `cacheDriver`.', {
      defaultText: '`false`; `true` with an object store and `dedupe`',
    }),
    cacheDriver: key(cacheDriver().optional(), 'The remote database; used only with `remoteCache`.'),
    storageDriver: key(storageDriver().optional(), 'An object store instead of the local folder.'),
    redirectBlobURL: key(flag().default(false), 'Answer blob downloads with a redirection to a signed URL.', {
      reloadable: true,
    }),
    commit: key(
      flag().default(true),
      'Make every write durable (fsync) before it is acknowledged. zot has this off unless asked.',
    ),
    maxRepos: key(
      integer().default(0),
      of.global
        ? 'Refuse new repositories beyond this number; 0 is no limit.'
        : 'Accepted without effect, as in zot.',
    ),
  };
}

const subPath = () =>
  section({
    ...storeKeys({ global: false }),
    inherit: key(
      flag().default(false),
      'Take what is not given here from the global store, except folder and object store.',
      { ours: true },
    ),
  });

/** `storage`: where repositories are kept and how they are kept clean. */
export const storageSection = () =>
  section({
    ...storeKeys({ global: true }),
    fastRestart: key(
      flag().default(false),
      'Skip the walk of the storage at start when nothing has changed.',
    ),
    subPaths: key(
      z.record(z.string(), subPath()).default({}),
      'Stores of their own for repositories below a first segment: `/team` holds `team/...`.',
    ),
    quotas: key(
      z
        .array(
          section({
            prefix: key(
              text(),
              'The repositories that count: `team` or `team/` for `team` and all below it; an empty text for all.',
            ),
            maxBytes: key(size(), 'The bytes that they may hold together, such as `10Gi`.'),
          }),
        )
        .default([]),
      'Limits on the bytes under prefixes of repository names; each blob counts once for each prefix.',
      { ours: true, reloadable: true },
    ),
    readOnly: key(flag().default(false), 'Serve, and refuse every change.', { ours: true }),
    minFreeSpace: key(
      freeSpace().default({ unit: 'bytes', amount: 256 * mebibyte }),
      'Below this much free space pushes are refused; reads and deletes go on. A size, a percentage, or 0 for off.',
      { ours: true },
    ),
  });
