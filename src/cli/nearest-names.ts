import { editDistance } from '#lib/edit-distance';

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
