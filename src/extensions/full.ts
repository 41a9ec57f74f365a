import type { Extension } from '#extension';
import { mgmt } from './mgmt/mgmt.ts';

/** The extensions of the full build. */
export const extensions: readonly Extension[] = [mgmt];
