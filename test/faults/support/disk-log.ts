/**
 * What happened on a disk, in the terms of POSIX: files and folders have identities, a folder gives names to them,
 * and only a sync says what must be there after a power cut. Written by the recording disk, read by crash-states.ts.
 */
export type NodeId = number;

export const ROOT: NodeId = 0;

export type DiskEvent<Promised> =
  /** A folder gives a name to something, or (`null`) takes it away. */
  | { readonly kind: 'entry'; readonly folder: NodeId; readonly name: string; readonly node: NodeId | null }
  | { readonly kind: 'write'; readonly file: NodeId; readonly position: number; readonly bytes: Buffer }
  /** Ends a sync of a file's bytes or a folder's names; it covers the events before `covers`, when it began. */
  | { readonly kind: 'sync'; readonly node: NodeId; readonly covers: number }
  /** From here on the program has promised something to somebody. */
  | { readonly kind: 'promise'; readonly promised: Promised };

export class DiskLog<Promised> {
  readonly events: DiskEvent<Promised>[] = [];
  readonly #folders = new Set<NodeId>([ROOT]);
  #nodes = 1;

  newFile(): NodeId {
    this.#nodes += 1;
    return this.#nodes - 1;
  }

  newFolder(): NodeId {
    const folder = this.newFile();
    this.#folders.add(folder);
    return folder;
  }

  isFolder(node: NodeId): boolean {
    return this.#folders.has(node);
  }
}
