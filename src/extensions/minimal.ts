import type { Extension } from '#extension';

/** The minimal build has none: the core alone. */
export const extensions: readonly Extension[] = [];
