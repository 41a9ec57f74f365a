const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
  ti: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

const written = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-z]{0,3})$/i;

/**
 * Parses a size such as `4MiB`, `1.5 GB`, `10k` or `4194304`. `kB MB GB TB` are powers of 1000; `KiB MiB GiB
 * TiB`, `Ki Mi Gi Ti` and the bare letters `k m g t` are powers of 1024; case does not matter.
 * @returns whole bytes, rounded down, or null when the text is no size
 */
export function parseByteSize(text: string): number | null {
  const match = written.exec(text.trim());
  const unit = unitBytes[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined) return null;
  const sizeBytes = Math.floor(Number(match[1]) * unit);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : null;
}

const steps = ['TiB', 'GiB', 'MiB', 'KiB'] as const;

/**
 * Writes whole bytes in the largest binary unit that fits exactly, else as a bare number: `4194304` is
 * `4MiB`.
 */
export function formatByteSize(sizeBytes: number): string {
  const unit = steps.find((name) => sizeBytes > 0 && sizeBytes % (unitBytes[name.toLowerCase()] ?? 1) === 0);
  return unit === undefined
    ? String(sizeBytes)
    : `${sizeBytes / (unitBytes[unit.toLowerCase()] ?? 1)}${unit}`;
}
