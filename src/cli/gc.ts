import { byteSize } from '#lib/byte-text';
import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';

export interface GcArguments {
  readonly target: string;
  readonly dryRun: boolean;
  readonly full: boolean;
  readonly json: boolean;
}

interface GcResult {
  readonly dryRun: boolean;
  readonly stores: readonly {
    readonly store: string;
    readonly tags: number;
    readonly manifests: number;
    readonly blobs: number;
    readonly buried: number;
    readonly freedBytes: number;
    readonly uploads: number;
    readonly behindMs: number;
  }[];
}

/** `zot gc`: collects garbage now. Exit code 0 when the sweep ended, whatever it found. */
export function gcCommand(args: GcArguments, io: CommandIo): Promise<number> {
  const { target, dryRun, full, json } = args;
  return runControl({ target, command: 'gc.run', args: { dryRun, full }, json, render }, io);
}

function render(value: unknown): string {
  const { dryRun, stores } = value as GcResult;
  const would = dryRun ? 'would remove' : 'removed';
  const lines = stores.map(({ store, tags, manifests, blobs, freedBytes, uploads, buried, behindMs }) => {
    const later = !dryRun && buried > blobs ? `; ${buried} more blobs go when their grace is over` : '';
    const bytes = byteSize(freedBytes);
    const what = `${tags} tags, ${manifests} manifests, ${blobs} blobs (${bytes}), ${uploads} uploads`;
    const behind = behindMs > 0 ? `; collection is ${Math.ceil(behindMs / 1000)} s behind` : '';
    return `${store}: ${would} ${what}${later}${behind}\n`;
  });
  return lines.join('');
}
