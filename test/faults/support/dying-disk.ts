import { constants } from 'node:fs';
import type { DamageList, History, IndexWriter } from '#metadata';
import { nodeFileSystem } from '../../../src/storage/drivers/file-system.ts';
import type { FileSystem, OpenFile } from '../../../src/storage/drivers/file-system.ts';

/** The moment of a death: before the n-th call (from 1) that changes something, or in the middle of it. */
export interface Death {
  readonly at: number;
  /** A write is carried out by half; other calls cannot be torn, and count as not begun. */
  readonly torn: boolean;
}

/** Methods of the index that change it: its transactions are whole or not at all. */
export const INDEX_CHANGES: readonly string[] = [
  'applyChanges',
  'replaceRepository',
  'setState',
  'removeRepository',
  'renameRepository',
  'copyTombstones',
  'addBlobs',
  'recordBlob',
  'removeBlobs',
  'addCandidates',
  'removeCandidates',
  'addTombstones',
  'removeTombstones',
  'clampTimes',
  'shiftTimes',
  'reviveReferenced',
  'setCountedPrefixes',
  'setCertainty',
  'addDamage',
  'removeDamage',
];

/** Methods of the list of damage that change it. */
const DAMAGE_CHANGES: readonly string[] = ['addDamage', 'removeDamage'];

/** Methods of the history of tags that change it. */
const HISTORY_CHANGES: readonly string[] = ['append', 'confirm', 'takeBack', 'removeHolds', 'forgetTag'];

/**
 * A process that dies at a chosen call, as far as its disk can tell: from then on no call of the file system or of
 * the index happens any more, and none of them ever answers.
 */
export class DyingDisk implements FileSystem {
  /** Settles at the moment of death. */
  readonly died: Promise<void>;
  /** Every call that changes something, by name. */
  readonly calls: string[] = [];
  #open = new Set<OpenFile>();
  #death: Death | null = null;
  #dead = false;
  #die: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.died = promise;
    this.#die = resolve;
  }

  /** From here on calls are counted; `null`: counted only. */
  arm(death: Death | null): void {
    this.#death = death;
    this.calls.length = 0;
  }

  /** Closes what a dead process had open, as the kernel does. */
  async bury(): Promise<void> {
    await Promise.all([...this.#open].map((file) => file.close()));
    this.#open.clear();
  }

  /** The index, dying with the disk. */
  index(inner: IndexWriter): IndexWriter {
    return this.#database(inner, 'index', INDEX_CHANGES);
  }

  /** The history of tags, dying with the disk. */
  history(inner: History): History {
    return this.#database(inner, 'history', HISTORY_CHANGES);
  }

  /** The list of damage of the records, dying with the disk. */
  damage(inner: DamageList): DamageList {
    return this.#database(inner, 'damage', DAMAGE_CHANGES);
  }

  #database<Database extends object>(inner: Database, kind: string, changes: readonly string[]): Database {
    return new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || name === 'close') return value;
        const method = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
        if (!changes.includes(String(name))) return (...args: unknown[]) => this.#read(() => method(...args));
        return (...args: unknown[]) => this.#change(`${kind}.${String(name)}`, () => method(...args));
      },
    });
  }

  async open(path: string, flags: number, mode?: number): Promise<OpenFile> {
    const open = async (): Promise<OpenFile> => this.#file(await nodeFileSystem.open(path, flags, mode));
    return (flags & constants.O_CREAT) === 0 ? this.#read(open) : this.#change('create', open);
  }

  readonly stat: FileSystem['stat'] = (...args) => this.#read(() => nodeFileSystem.stat(...args));
  readonly opendir: FileSystem['opendir'] = (...args) => this.#read(() => nodeFileSystem.opendir(...args));
  readonly statfs: FileSystem['statfs'] = (...args) => this.#read(() => nodeFileSystem.statfs(...args));
  readonly mkdir: FileSystem['mkdir'] = (...args) =>
    this.#change('mkdir', () => nodeFileSystem.mkdir(...args));
  readonly rename: FileSystem['rename'] = (...args) =>
    this.#change('rename', () => nodeFileSystem.rename(...args));
  readonly link: FileSystem['link'] = (...args) => this.#change('link', () => nodeFileSystem.link(...args));
  readonly copyFile: FileSystem['copyFile'] = (...args) =>
    this.#change('copy', () => nodeFileSystem.copyFile(...args));
  readonly utimes: FileSystem['utimes'] = (...args) =>
    this.#change('utimes', () => nodeFileSystem.utimes(...args));
  readonly rmdir: FileSystem['rmdir'] = (...args) =>
    this.#change('rmdir', () => nodeFileSystem.rmdir(...args));
  readonly unlink: FileSystem['unlink'] = (...args) =>
    this.#change('unlink', () => nodeFileSystem.unlink(...args));

  #file(file: OpenFile): OpenFile {
    this.#open.add(file);
    return {
      fd: file.fd,
      read: (...args) => this.#read(() => file.read(...args)),
      write: (buffer, offset, length, position) =>
        this.#change(
          'write',
          () => file.write(buffer, offset, length, position),
          () => file.write(buffer, offset, length >> 1, position),
        ),
      writev: (buffers) => {
        const whole = Buffer.concat(buffers);
        return this.#change(
          'writev',
          () => file.writev(buffers),
          () => file.writev([whole.subarray(0, whole.length >> 1)]),
        );
      },
      // Without a power cut a sync changes nothing: dying at one is dying at the next call.
      sync: () => this.#read(() => file.sync()),
      stat: (options) => this.#read(() => file.stat(options)),
      close: () =>
        this.#read(async () => {
          this.#open.delete(file);
          await file.close();
        }),
    };
  }

  #read<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#dead ? new Promise(() => undefined) : work();
  }

  async #change<Result>(
    name: string,
    work: () => Promise<Result>,
    half?: () => Promise<unknown>,
  ): Promise<Result> {
    if (this.#dead) return new Promise(() => undefined);
    this.calls.push(name);
    const death = this.#death;
    if (death === null || this.calls.length !== death.at) return work();
    this.#dead = true;
    if (death.torn) await half?.();
    this.#die();
    return new Promise(() => undefined);
  }
}
