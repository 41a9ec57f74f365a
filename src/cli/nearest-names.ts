/** How many letters may differ before a suggestion stops being helpful; zot uses the same. */
const distanceMax = 2;

/** The known names that the user may have meant, nearest first; also those that the written word begins. */
export function nearestNames(written: string, known: readonly string[]): string[] {
  return known
    .map((name) => ({ name, distance: name.startsWith(written) ? 0 : editDistance(written, name) }))
    .filter(({ distance }) => distance <= distanceMax)
    .sort((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1];
    for (const [j, other] of b.split('').entries()) {
      const swap = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(swap, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
