/**
 * The number of letters to insert, delete, replace or swap with their neighbour to turn one word into the
 * other (optimal string alignment). Costs the product of both lengths; meant for words, not for texts.
 */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = at(last, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swapped = isSwap(from, to, i, j) ? at(beforeLast, j - 2) + 1 : Infinity;
      row.push(Math.min(replaced, swapped, at(last, j) + 1, at(row, j - 1) + 1));
    }
    beforeLast = last;
    last = row;
  }
  return at(last, to.length);
}

function isSwap(from: string, to: string, i: number, j: number): boolean {
  return i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

/** Longer words are no misspelling of a name. */
const wordLengthMax = 80;

/**
 * The known name that a user most likely meant by a word: the nearest without regard to case, within a third
 * of its length (at least 2 letters), or the only one that the word begins or that begins the word.
 * @returns null when nothing is near
 */
export function nearestName(word: string, known: Iterable<string>): string | null {
  if (word.length > wordLengthMax) return null;
  const lower = word.toLowerCase();
  let nearest: string | null = null;
  let distance = Math.max(2, Math.floor(lower.length / 3)) + 1;
  const begun: string[] = [];
  for (const name of known) {
    const lowerName = name.toLowerCase();
    if (isBeginning(lower, lowerName)) begun.push(name);
    const candidate = editDistance(lower, lowerName);
    if (candidate < distance && candidate < lowerName.length) [nearest, distance] = [name, candidate];
  }
  return nearest ?? (begun.length === 1 ? (begun[0] ?? null) : null);
}

function isBeginning(word: string, name: string): boolean {
  return word.length >= 3 && name.length >= 3 && (name.startsWith(word) || word.startsWith(name));
}
