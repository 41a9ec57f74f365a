import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { deepFreeze } from '#lib/deep-freeze';
import { isPlainObject } from '../normalise.ts';
import { formatPath, type Path } from '../problems.ts';
import { configSchema, type Config } from '../schema/schema.ts';
import { shapeOf } from '../schema/walk.ts';

/** What a changed configuration comes to for a server that runs. */
export interface MergedConfig {
  /** What may change while the server runs is new; everything else is as it was at the start. */
  readonly config: Config;
  /** The keys whose new values are in it. */
  readonly applied: readonly string[];
  /** The keys whose new values have to wait for a restart. */
  readonly needsRestart: readonly string[];
}

/** Takes over from `wanted` what is declared reloadable, and says what was left out. */
export function mergeReloadable(running: Config, wanted: Config): MergedConfig {
  const merge = new Merge();
  const config = merge.values({ old: running, wanted, schema: configSchema, path: [], reloadable: false });
  // The same keys as before, each with a value of one of two checked configurations.
  return {
    config: deepFreeze(config as Config),
    applied: merge.applied,
    needsRestart: merge.needsRestart,
  };
}

interface Pair {
  readonly old: unknown;
  readonly wanted: unknown;
  readonly schema: z.core.$ZodType;
  readonly path: Path;
  /** Whether this key, or one that holds it, may change while the server runs. */
  readonly reloadable: boolean;
}

class Merge {
  readonly applied: string[] = [];
  readonly needsRestart: string[] = [];

  values(pair: Pair): unknown {
    const { old, wanted, reloadable, path } = pair;
    if (isDeepStrictEqual(old, wanted)) return old;
    const members = membersOf(pair);
    if (members === null) {
      (reloadable ? this.applied : this.needsRestart).push(formatPath(path));
      return reloadable ? wanted : old;
    }
    const merged = members.map((member): [string, unknown] => [
      String(member.path.at(-1)),
      this.values(member),
    ]);
    return Object.fromEntries(merged.filter(([, value]) => value !== undefined));
  }
}

/** What two objects hold, side by side; `null` where the two cannot be told apart any finer. */
function membersOf({ old, wanted, schema, path, reloadable }: Pair): Pair[] | null {
  if (!isPlainObject(old) || !isPlainObject(wanted)) return null;
  const shape = shapeOf(schema);
  if (shape.kind !== 'object' && shape.kind !== 'map') return null;
  const names = new Set([...Object.keys(old), ...Object.keys(wanted)]);
  return [...names].flatMap((name) => {
    const declared = shape.kind === 'map' ? { schema: shape.values } : shape.keys.get(name.toLowerCase());
    if (declared === undefined) return [];
    const isLive = reloadable || ('meta' in declared && declared.meta.reloadable === true);
    return {
      old: old[name],
      wanted: wanted[name],
      schema: declared.schema,
      path: [...path, name],
      reloadable: isLive,
    };
  });
}

/** What guards a registry beside sign-in and policies, and needs a restart. */
const GUARDS = /^http\.(?:tls|address|port)\b/;
const ACCESS = /^http\.(?:auth|accessControl)\b/;

/**
 * Why a merged configuration must not be put in force: sign-in or policies change together with what guards the
 * registry and waits for a restart, so that in between neither the old nor the new guard might stand. `null`: it may.
 */
export function halfGuarded({ applied, needsRestart }: MergedConfig): string | null {
  const waiting = needsRestart.filter((path) => GUARDS.test(path));
  const access = applied.filter((path) => ACCESS.test(path));
  if (waiting.length === 0 || access.length === 0) return null;
  const [changed, guards] = [access.join(', '), waiting.join(', ')];
  return `${changed} cannot be taken over while ${guards} waits for a restart: restart the server`;
}
