import type { z } from 'zod';
import { integer, key, logLevel, section, text, textList } from './key.ts';
import { extensionsSection } from './extensions.ts';
import { httpSection } from './http.ts';
import { storageSection } from './storage.ts';

/** The version of the distribution specification that is spoken, whatever the configuration says. */
export const distSpecVersion = '1.1.1';

const log = () =>
  section({
    level: key(logLevel().default('info'), 'How much is logged. zot logs `debug` unless told otherwise.', {
      reloadable: true,
    }),
    output: key(text().default(''), 'The file to append to.', { defaultText: 'standard output' }),
    audit: key(text().default(''), 'The file of audit records, whatever `level` says.', {
      defaultText: 'none',
    }),
  });

const scheduler = () =>
  section({
    numWorkers: key(integer().default(0), 'How many background tasks run at once.', {
      defaultText: '4 for each core',
    }),
  });

const cluster = () =>
  section({
    members: key(textList().default([]), 'All members as `host:port`, in the same order everywhere.'),
    hashKey: key(
      text().default(''),
      'Exactly 16 bytes, the same everywhere: decides who serves which repository.',
      {
        secret: true,
      },
    ),
    tls: key(
      section({
        cert: key(text().default(''), 'The certificate shown to other members.', { file: true }),
        key: key(text().default(''), 'Its key.', { file: true }),
        cacert: key(text().default(''), 'Authorities for the certificates of other members.', { file: true }),
      }).optional(),
      'TLS between members.',
    ),
  });

const buildFact = () => key(text().optional(), 'Accepted, and shown instead of the fact of the build.');

/** The whole configuration file: every key that zot knows and ours, each declared once. */
export const configSchema = section({
  distSpecVersion: key(text().default(distSpecVersion), 'The version of the distribution specification.'),
  goVersion: buildFact(),
  commit: buildFact(),
  releaseTag: buildFact(),
  binaryType: buildFact(),
  storage: key(storageSection().prefault({}), 'Where repositories are kept.'),
  http: key(httpSection().prefault({}), 'How the registry is reached.'),
  log: key(log().prefault({}), 'What is logged, and where.'),
  extensions: key(extensionsSection().prefault({}), 'Everything beyond the distribution specification.'),
  scheduler: key(scheduler().prefault({}), 'Background work.'),
  cluster: key(cluster().optional(), 'Several servers that share one store.'),
});

type Immutable<T> = T extends readonly (infer E)[]
  ? readonly Immutable<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T;

/** The configuration while it is being made: the rules that complete it may change it. */
export type ConfigDraft = z.output<typeof configSchema>;

/**
 * A whole, checked configuration, deeply frozen. Names are zot's; durations are milliseconds, sizes bytes,
 * regular expressions and globs stay texts. Sections that the user left out and that mean "off" are absent.
 */
export type Config = Immutable<ConfigDraft>;

/** What the global store and the sub-paths have in common. */
export type StoreDraft = Omit<ConfigDraft['storage']['subPaths'][string], 'inherit'>;
export type StoreConfig = Immutable<StoreDraft>;
