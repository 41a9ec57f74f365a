import type { FileSystem, OpenFile } from '../../../src/storage/drivers/file-system.ts';
import { nodeFileSystem } from '../../../src/storage/drivers/file-system.ts';

/** What the kernel answers when a disk is full, a quota used up, a device fails or a file system turned read-only. */
export type KernelError = 'ENOSPC' | 'EDQUOT' | 'EIO' | 'EROFS' | 'EACCES';

export interface KernelFault {
  /** Which call fails, from 1, all kinds counted together. */
  readonly at: number;
  readonly error: KernelError;
}

/** The file system of this machine with one call failing, below the local driver's own order of writes. */
export class FaultyFileSystem implements FileSystem {
  /** Every call since the last `arm`, by name. */
  readonly calls: string[] = [];
  /** How many calls failed by plan since it was made. */
  failed = 0;
  #fault: KernelFault | null = null;

  readonly open = this.#guarded('open', async (...args: Parameters<FileSystem['open']>) =>
    this.#guardedFile(await nodeFileSystem.open(...args)),
  );
  readonly stat = this.#guarded('stat', nodeFileSystem.stat);
  readonly opendir = this.#guarded('opendir', nodeFileSystem.opendir);
  readonly mkdir = this.#guarded('mkdir', nodeFileSystem.mkdir);
  readonly rename = this.#guarded('rename', nodeFileSystem.rename);
  readonly link = this.#guarded('link', nodeFileSystem.link);
  readonly copyFile = this.#guarded('copyFile', nodeFileSystem.copyFile);
  readonly utimes = this.#guarded('utimes', nodeFileSystem.utimes);
  readonly unlink = this.#guarded('unlink', nodeFileSystem.unlink);
  readonly rmdir = this.#guarded('rmdir', nodeFileSystem.rmdir);
  readonly statfs = this.#guarded('statfs', nodeFileSystem.statfs);

  /** Starts counting anew, with a fault or without one. */
  arm(fault: KernelFault | null): void {
    this.#fault = fault;
    this.calls.length = 0;
  }

  #guarded<Args extends readonly unknown[], Result>(
    name: string,
    call: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Promise<Result> {
    return async (...args) => {
      this.#failIfPlanned(name);
      return call(...args);
    };
  }

  #guardedFile(file: OpenFile): OpenFile {
    return {
      fd: file.fd,
      read: this.#guarded('read', file.read.bind(file)),
      write: this.#guarded('write', file.write.bind(file)),
      writev: this.#guarded('writev', file.writev.bind(file)),
      sync: this.#guarded('sync', file.sync.bind(file)),
      stat: this.#guarded('fstat', file.stat.bind(file)),
      // The kernel frees a descriptor also when it reports an error.
      close: async () => {
        await file.close();
        this.#failIfPlanned('close');
      },
    };
  }

  #failIfPlanned(name: string): void {
    this.calls.push(name);
    const fault = this.#fault;
    if (fault === null || this.calls.length !== fault.at) return;
    this.failed += 1;
    throw Object.assign(new Error(`${fault.error}: planned for ${name}`), { code: fault.error });
  }
}
