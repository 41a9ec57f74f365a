import type { Extension } from '#extension';
import { mgmt } from './mgmt/mgmt.ts';
import { scrub } from './scrub/scrub.ts';

/** The extensions of the full build. */
export const extensions: readonly Extension[] = [scrub, mgmt];
