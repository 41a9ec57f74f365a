import type { Readable } from 'node:stream';
import { ControlRefusal, wordsOf } from '#control';
import { byteSize } from '#lib/byte-text';
import { openLog } from '#lib/logger';
import { isRepoName } from '#oci/repo-name';
import type { RepoName } from '#oci/repo-name';
import { isTag } from '#oci/reference';
import type { Tag } from '#oci/reference';
import { RegistryError, StorageError } from '#registry';
import {
  Tally,
  TransferRefusal,
  exportLayouts,
  importDockerRegistry,
  importLayouts,
  parseSelections,
  printable,
} from '#transfer';
import type { Skipped, TransferCounts } from '#transfer';
import { openTransferSide } from '../app.ts';
import type { TransferSide } from '../app.ts';
import { UsageError } from './command.ts';
import type { CommandIo } from './command.ts';
import { configOf, refusing } from './control.ts';

export interface ExportArguments {
  readonly target: string;
  readonly images: readonly string[];
  readonly all: boolean;
  /** A folder, an archive, or `-`. */
  readonly to: string;
  readonly referrers: boolean;
  readonly json: boolean;
}

export interface ImportArguments {
  readonly target: string;
  /** A folder, an archive, or `-`. */
  readonly source: string;
  readonly repo: string | null;
  readonly tags: readonly string[];
  readonly json: boolean;
}

/** A transfer that takes longer than this says from time to time how far it is. */
const PROGRESS_MS = 2000;

/** `zot export`: copies images into layouts and archives. Exit code 1 when something could not be exported. */
export function exportCommand(args: ExportArguments, io: CommandIo): Promise<number> {
  const work = (side: TransferSide, tally: Tally): Promise<void> => {
    if (args.to === '-' && process.stdout.isTTY)
      throw new TransferRefusal('an archive is not for a terminal: pipe it, or name a file by --to');
    const selections = args.all ? 'all' : parseSelections(args.images);
    const target = args.to === '-' ? process.stdout : args.to;
    return exportLayouts(side, { selections, target, referrers: args.referrers }, tally);
  };
  // What is said must not get into the archive.
  const out = args.to === '-' ? { ...io, stdout: io.stderr } : io;
  return transfer({ target: args.target, json: args.json, writes: false, verb: 'exported', work }, out);
}

/** `zot import`: brings layouts and archives in. Exit code 1 when something could not be imported. */
export function importCommand(args: ImportArguments, io: CommandIo, stdin: Readable): Promise<number> {
  const work = (side: TransferSide, tally: Tally): Promise<void> => {
    if (args.source === '-' && 'isTTY' in stdin && stdin.isTTY === true)
      throw new TransferRefusal('standard input is a terminal: pipe an archive in');
    const source = args.source === '-' ? stdin : args.source;
    return importLayouts({ ...side, tally }, { source, repo: repoOf(args.repo), tags: args.tags.map(tagOf) });
  };
  return transfer({ target: args.target, json: args.json, writes: true, verb: 'imported', work }, io);
}

/** `zot import docker-registry`: takes the storage folder of a docker-registry. */
export function importDockerRegistryCommand(args: ImportArguments, io: CommandIo): Promise<number> {
  if (args.tags.length > 0) throw new UsageError('--tag is for layouts and archives');
  const work = (side: TransferSide, tally: Tally): Promise<void> =>
    importDockerRegistry({ ...side, tally }, args.source, repoOf(args.repo));
  return transfer({ target: args.target, json: args.json, writes: true, verb: 'imported', work }, io);
}

function repoOf(name: string | null): RepoName | null {
  if (name === null || isRepoName(name)) return name;
  throw new TransferRefusal(`"${printable(name)}" is no repository name`);
}

function tagOf(text: string): Tag {
  if (isTag(text)) return text;
  throw new TransferRefusal(`"${printable(text)}" is no tag`);
}

export interface Transfer {
  readonly target: string;
  readonly json: boolean;
  readonly writes: boolean;
  /** For the summary: what was done to the images. */
  readonly verb: string;
  readonly work: (side: TransferSide, tally: Tally) => Promise<void>;
}

/** Runs a transfer with its progress, and tells at the end what was done and what was not. */
export function transfer(run: Transfer, io: CommandIo): Promise<number> {
  return refusing(io, async () => {
    const config = configOf(run.target);
    const log = openLog({ level: 'error', output: '', sink: io.stderr, audit: config.log.audit });
    const tally = new Tally(teller(io));
    // Connections to the server do not keep a process alive by themselves.
    const alive = setInterval(() => undefined, 60_000);
    try {
      const { logger, audit } = log;
      const side = await openTransferSide({ config, logger, audit, writes: run.writes });
      try {
        await run.work(side, tally);
      } finally {
        await side.close();
      }
    } catch (error) {
      throw refusalOf(error, tally);
    } finally {
      clearInterval(alive);
      await log.flush();
    }
    io.stdout.write(run.json ? jsonReport(tally) : textReport(run.verb, tally));
    return tally.skippedCount === 0 ? 0 : 1;
  });
}

/** What the registry or the file system refuses is for the user to mend; anything else is a fault of ours. */
function refusalOf(error: unknown, tally: Tally): unknown {
  const isOurs = error instanceof RegistryError || error instanceof StorageError;
  const isKnown = isOurs || error instanceof TransferRefusal;
  if (!isKnown && !(error instanceof Error && 'syscall' in error)) return error;
  const words = isOurs ? wordsOf(error) : error.message;
  const at = tally.at === '' || words.endsWith(tally.at) ? '' : ` (at ${tally.at})`;
  return new ControlRefusal(printable(`${words}${at}`), { cause: error });
}

function teller(io: CommandIo): (tally: Tally) => void {
  let saidMs = performance.now();
  return (tally) => {
    if (performance.now() - saidMs < PROGRESS_MS) return;
    saidMs = performance.now();
    io.stderr.write(`${tally.at}: ${workDone(tally.counts)}\n`);
  };
}

function workDone(counts: TransferCounts): string {
  const { manifests, blobsCopied, blobsLinked, blobsPresent, bytesCopied } = counts;
  const parts = [`${manifests} manifests`, `${blobsCopied} blobs copied (${byteSize(bytesCopied)})`];
  if (blobsLinked > 0) parts.push(`${blobsLinked} linked`);
  if (blobsPresent > 0) parts.push(`${blobsPresent} there already`);
  return parts.join(', ');
}

function textReport(verb: string, tally: Tally): string {
  const lines = tally.skipped.map(({ what, why }: Skipped) => `not ${verb}: ${what}: ${why}\n`);
  const more = tally.skippedCount - tally.skipped.length;
  if (more > 0) lines.push(`and ${more} more were not ${verb}\n`);
  return `${lines.join('')}${verb}: ${tally.counts.tags} tags, ${workDone(tally.counts)}\n`;
}

function jsonReport({ counts, skipped, skippedCount }: Tally): string {
  return `${JSON.stringify({ ...counts, skipped, skippedCount }, null, 2)}\n`;
}
