/** The words of zot's policies, each with its bit in a mask. */
export const ACTION_BITS = { read: 1, create: 2, update: 4, delete: 8, detectManifestCollision: 16 } as const;

export type PolicyAction = keyof typeof ACTION_BITS;

/** The mask of a list of words; words that are no action permit nothing. */
export function actionMask(words: readonly string[]): number {
  let mask = 0;
  for (const word of words) if (isAction(word)) mask |= ACTION_BITS[word];
  return mask;
}

function isAction(word: string): word is PolicyAction {
  return Object.hasOwn(ACTION_BITS, word);
}
