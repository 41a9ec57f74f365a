/**
 * Reads a storage folder and finds what is damaged in it. Changes nothing, and may run beside a registry that serves
 * the folder.
 */
import { access, constants, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { WeightedLru } from '#lib/weighted-lru';
import type { Digest } from '#oci/digest';
import { isRepoName } from '#oci/repo-name';
import { BLOBS_FOLDER, INDEX_FILE, LAYOUT_FILE, LocalDriver, OWN_FOLDER, StorageError } from '#storage';
import { checkRepository } from './check-repository.ts';
import type { Remembers } from './check-repository.ts';
import type { CheckParts, Totals } from './checked-repository.ts';
import { openDatabases } from './databases.ts';
import { findingOf } from './finding.ts';
import type { Finding } from './finding.ts';

export interface CheckOptions {
  /** The folder that holds the repositories, or a single image layout. */
  readonly folder: string;
  /** Whether every blob is read and hashed; manifests always are. */
  readonly deep: boolean;
  readonly onFinding: (finding: Finding) => void;
  /** Hears of the work done so far after each blob and each repository. */
  readonly onProgress: (totals: Readonly<Totals>) => void;
}

/** Digests of linked files that are remembered. */
const HASHED_MAX = 100_000;
const DEPTH_MAX = 128;
/** Folders that hold no repositories: of this registry, of zot, of its scanner, of its synchronisation, of uploads. */
const PASSED_OVER: ReadonlySet<string> = new Set([OWN_FOLDER, '_trivy', '.sync', '.uploads']);

/** Gives what was looked at. Throws when there is no such folder. */
export async function checkStorage(options: CheckOptions): Promise<Totals> {
  const folder = await existingFolder(options.folder);
  const totals: Totals = { repositories: 0, manifests: 0, blobs: 0, bytesRead: 0 };
  const hashed = new WeightedLru<string, Digest>(HASHED_MAX);
  const single = await singleLayout(folder);
  const driver = new LocalDriver(single === null ? folder : dirname(folder));
  const tell = (): void => options.onProgress(totals);
  const walk = new Walk({ driver, totals, hashed, deep: options.deep, tell }, options);
  if (single !== null) {
    await walk.check(single, () => null);
    return totals;
  }
  const databases = await openDatabases(folder);
  try {
    for (const finding of databases.findings) options.onFinding(finding);
    await walk.below('', 0, (repo) => databases.remembers(repo));
    return totals;
  } finally {
    databases.close();
  }
}

async function existingFolder(path: string): Promise<string> {
  try {
    const isFolder = (await stat(path)).isDirectory();
    if (isFolder) await access(path, constants.R_OK | constants.X_OK);
    if (isFolder) return resolve(path);
  } catch (cause) {
    throw new Error(`the folder ${path} cannot be read: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    });
  }
  throw new Error(`${path} is no folder`);
}

/** The name by which a folder that is itself an image layout is looked at; `null` for a folder of repositories. */
async function singleLayout(folder: string): Promise<string | null> {
  const layout = await new LocalDriver(folder).stat(LAYOUT_FILE);
  return layout === null ? null : basename(folder);
}

class Walk {
  #parts: CheckParts;
  #options: CheckOptions;

  constructor(parts: CheckParts, options: CheckOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Looks at a folder and all below it, names in order. */
  async below(folder: string, depth: number, remembers: Remembers): Promise<void> {
    const { folders, isLayout } = await this.#look(folder);
    if (isLayout && folder !== '') await this.check(folder, remembers);
    if (depth >= DEPTH_MAX) return;
    for (const name of folders) {
      if (PASSED_OVER.has(name) || (name === BLOBS_FOLDER && folder !== '')) continue;
      await this.below(folder === '' ? name : `${folder}/${name}`, depth + 1, remembers);
    }
  }

  async check(path: string, remembers: Remembers): Promise<void> {
    if (!isRepoName(path)) {
      this.#options.onFinding(findingOf('name-invalid', { path }));
      return;
    }
    for (const finding of await checkRepository(path, this.#parts, remembers))
      this.#options.onFinding(finding);
    this.#parts.totals.repositories += 1;
    this.#options.onProgress(this.#parts.totals);
  }

  async #look(folder: string): Promise<{ folders: string[]; isLayout: boolean }> {
    const folders: string[] = [];
    let isLayout = false;
    try {
      for await (const { name, kind } of this.#parts.driver.list(folder)) {
        if (kind === 'folder') folders.push(name);
        if (name === (kind === 'folder' ? BLOBS_FOLDER : INDEX_FILE) || name === LAYOUT_FILE) isLayout = true;
      }
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#options.onFinding(findingOf('cannot-be-read', { path: folder || '.', detail: error.message }));
    }
    return { folders: folders.sort(), isLayout };
  }
}
