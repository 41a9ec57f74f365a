import { byteSize } from '#lib/byte-text';
import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';

interface QuotaLine {
  readonly prefix: string;
  readonly maxBytes: number;
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly isExact: boolean;
}

/** `zot quota`: the quotas in force and what is used of them. */
export function quotaCommand(
  args: { readonly target: string; readonly json: boolean },
  io: CommandIo,
): Promise<number> {
  return runControl({ ...args, command: 'quota.list', args: {}, render }, io);
}

function render(value: unknown): string {
  const { quotas } = value as { quotas: readonly QuotaLine[] };
  if (quotas.length === 0) return 'no quotas: storage.quotas of the configuration lists none\n';
  return quotas
    .toSorted((left, right) => (left.prefix < right.prefix ? -1 : 1))
    .map(describe)
    .join('');
}

function describe({ prefix, maxBytes, usedBytes, reservedBytes, isExact }: QuotaLine): string {
  const share = maxBytes === 0 ? '' : ` (${Math.round((usedBytes / maxBytes) * 100)}%)`;
  const reserved = reservedBytes === 0 ? '' : `, ${byteSize(reservedBytes)} reserved by uploads`;
  const counting = isExact ? '' : '; still being counted after an end out of order';
  const name = prefix === '' ? 'all repositories' : prefix;
  return `${name}: ${byteSize(usedBytes)} of ${byteSize(maxBytes)} used${share}${reserved}${counting}\n`;
}
