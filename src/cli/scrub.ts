import type { ScrubReport } from '#control';
import { byteSize } from '#lib/byte-text';
import type { CommandIo } from './command.ts';
import { runControl } from './control.ts';

type ImageRow = ScrubReport['affectedImages'][number];

/** Of images that are whole, so many are listed; what is affected is listed in full, as far as it is reported. */
const ROWS_MAX = 200_000;
const PROGRESS_MS = 5000;
/** Widths of zot's table: those of the names are bounded, and what is longer goes on in the next line. */
const REPOSITORY_WIDTH_MAX = 32;
const TAG_WIDTH_MAX = 24;
const STATUS_WIDTH = 8;
const DIGEST_WIDTH = 64;
const HEADER = ['REPOSITORY', 'TAG', 'STATUS', 'AFFECTED BLOB', 'ERROR'] as const;

/** `zot scrub`: reads all stored bytes. Exit code 0 when all are sound, 2 when something is damaged, 1 for a fault. */
export function scrubCommand(
  { target, json }: { readonly target: string; readonly json: boolean },
  io: CommandIo,
): Promise<number> {
  const images: ImageRow[] = [];
  let judged = 0;
  let saidMs = performance.now();
  const renderProgress = (report: unknown): string | null => {
    const { image } = report as { readonly image: ImageRow };
    judged += 1;
    if (images.length < ROWS_MAX) images.push(image);
    if (performance.now() - saidMs < PROGRESS_MS) return null;
    saidMs = performance.now();
    return `${judged} images looked at, now in ${image.repository}`;
  };
  const render = (report: unknown): string => scrubText(images, report as ScrubReport);
  return runControl(
    { target, command: 'scrub.run', args: {}, json, render, renderProgress, exitCode: codeOf },
    io,
  );
}

function codeOf(value: unknown): number {
  const { affected, damage, failed } = value as ScrubReport;
  if (failed > 0) return 1;
  return affected > 0 || damage.length > 0 ? 2 : 0;
}

/** zot's table, and below it what it does not tell. */
export function scrubText(images: readonly ImageRow[], report: ScrubReport): string {
  const rows = images.map(({ repository, tag, status, affected }) => {
    const [first] = affected;
    return [repository, tag, status, first?.digest.replace(/^.*:/, '') ?? '', first?.error ?? ''];
  });
  const widest = (column: number): number =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), HEADER[column]?.length ?? 0);
  const widths = [
    Math.min(REPOSITORY_WIDTH_MAX, widest(0)),
    Math.min(TAG_WIDTH_MAX, widest(1)),
    STATUS_WIDTH,
    DIGEST_WIDTH,
    widest(4),
  ];
  const table = [HEADER, ...rows].flatMap((row) => lines(row, widths)).join('\n');
  return `${table}\n${remarks(images.length, report)}`;
}

/** One row; cells that are longer than their column go on below. */
function lines(row: readonly string[], widths: readonly number[]): string[] {
  const cells = row.map((cell, at) => pieces(cell, Math.max(1, widths[at] ?? 1)));
  const height = Math.max(...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((cell, at) => (cell[line] ?? '').padEnd(widths[at] ?? 0))
      .join(' ')
      .trimEnd(),
  );
}

function pieces(text: string, width: number): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length || at === 0; at += width) found.push(text.slice(at, at + width));
  return found;
}

function remarks(listed: number, report: ScrubReport): string {
  const { images, contents, repositories, bytesRead, damaged, mended, failed, damage } = report;
  const text = [
    '',
    `${contents} contents of ${repositories} repositories, ${byteSize(bytesRead)} read: ` +
      `${damaged} damaged, ${mended} mended`,
  ];
  if (images > listed) text.push(`${images - listed} more images are not listed`);
  if (failed > 0) text.push(`${failed} could not be looked at: see the log`);
  for (const { repository, digest, kind, detail } of damage)
    text.push(`${repository}@${digest}: ${kind}, ${detail}`);
  if (damage.length > 0)
    text.push('None of this is served. Push it again, or put a sound copy in its place, to mend it.');
  return `${text.join('\n')}\n`;
}
