/**
 * Of all patterns that match a repository the one with the longest text (bytes) decides, and it alone. zot leaves it
 * to chance which of two equally long ones that is; here the one that is literal for longer comes first, then the
 * one that is first in byte order.
 */
export function comparePatterns(one: string, other: string): number {
  const [left, right] = [Buffer.from(one), Buffer.from(other)];
  return right.length - left.length || literalChars(other) - literalChars(one) || Buffer.compare(left, right);
}

const SPECIAL = /[*?[\]{}\\]/;

/** How many characters stand before the first special one. */
function literalChars(pattern: string): number {
  const at = pattern.search(SPECIAL);
  return at < 0 ? pattern.length : at;
}

/** Whether a part of a pattern means itself. */
export function isLiteral(text: string): boolean {
  return !SPECIAL.test(text);
}
