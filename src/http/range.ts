/** A part of a blob: first and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

const SPECS_MAX = 16;
const SPEC = /^(\d{0,16})-(\d{0,16})$/;

/**
 * Reads a Range header (RFC 9110 section 14.2; distribution-spec, "Pulling blobs"). Gives `null` when the header is
 * to be ignored (another unit), an empty list when nothing it asks for exists (416), else the parts in ascending
 * order, overlapping and adjacent ones joined.
 */
export function parseRange(header: string, sizeBytes: number): ByteRange[] | null {
  const unit = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(.*)$/s.exec(header.trim());
  if (unit === null || unit[1]?.toLowerCase() !== 'bytes') return unit === null ? [] : null;
  const specs = (unit[2] ?? '').split(',').map((spec) => spec.trim());
  if (specs.length > SPECS_MAX) return [];
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = parseSpec(spec, sizeBytes);
    if (range === 'malformed') return [];
    if (range !== null) ranges.push(range);
  }
  return joined(ranges);
}

/** `null`: well formed, but nothing of it exists. */
function parseSpec(spec: string, sizeBytes: number): ByteRange | null | 'malformed' {
  const match = SPEC.exec(spec);
  if (match === null) return 'malformed';
  const [, from = '', to = ''] = match;
  if (from === '') {
    if (to === '') return 'malformed';
    const length = Math.min(Number(to), sizeBytes);
    return length === 0 ? null : { first: sizeBytes - length, last: sizeBytes - 1 };
  }
  const first = Number(from);
  if (to !== '' && Number(to) < first) return 'malformed';
  if (first >= sizeBytes) return null;
  return { first, last: to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1) };
}

function joined(ranges: ByteRange[]): ByteRange[] {
  const result: ByteRange[] = [];
  for (const range of ranges.sort((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before !== undefined && range.first <= before.last + 1) {
      result[result.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
    } else result.push(range);
  }
  return result;
}

/**
 * Reads a Content-Range of a chunk: `<first>-<last>`, both included (distribution-spec, "Pushing a blob in chunks");
 * the forms of RFC 9110 (`bytes <first>-<last>/<size>`) are understood too. `null`: not well formed.
 */
export function parseContentRange(header: string): ByteRange | null {
  const match = /^(?:bytes[ =])?(\d{1,16})-(\d{1,16})(?:\/(?:\d{1,16}|\*))?$/.exec(header.trim());
  if (match === null) return null;
  const first = Number(match[1]);
  const last = Number(match[2]);
  return last < first ? null : { first, last };
}
