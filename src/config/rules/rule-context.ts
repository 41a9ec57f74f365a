import { compileGlob, GlobSyntaxError } from '#lib/doublestar';
import { RE2JS, RE2JSException } from 're2js';
import { isPlainObject, type PlainObject } from '../normalise.ts';
import type { Path, Report } from '../problems.ts';
import type { ConfigDraft, StoreDraft } from '../schema/schema.ts';

/** Judges a CEL expression over the named variables: a message that says what is wrong, or null. */
export type ExpressionCheck = (expression: string, variables: readonly string[]) => string | null;

/** What a rule may look at. Rules run in the order of zot's checks; each reports all that it finds. */
export interface RuleContext {
  /** The configuration with all defaults. Only the rules that complete it change it. */
  readonly config: ConfigDraft;
  /** What the user wrote, normalised: tells what is given from what is a default. */
  readonly given: PlainObject;
  readonly report: Report;
  /** Absent where nothing can compile CEL. */
  readonly checkExpression?: ExpressionCheck;
}

export type Rule = (context: RuleContext) => void;

/** What the user wrote at a place, or undefined. */
export function givenAt({ given }: Pick<RuleContext, 'given'>, path: Path): unknown {
  let value: unknown = given;
  for (const step of path) {
    if (typeof step === 'number') value = Array.isArray(value) ? value[step] : undefined;
    else value = isPlainObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

/** One store of the configuration: the global one or a sub-path. */
export interface StorePlace {
  readonly store: StoreDraft;
  readonly path: Path;
  /** As zot names it in messages. */
  readonly label: string;
  readonly isGlobal: boolean;
}

export function listStores(config: ConfigDraft): StorePlace[] {
  const subPaths = Object.entries(config.storage.subPaths).map(([route, store]) => ({
    store,
    path: ['storage', 'subPaths', route],
    label: `substore (route: ${route})`,
    isGlobal: false,
  }));
  return [
    { store: config.storage, path: ['storage'], label: 'default storage', isGlobal: true },
    ...subPaths,
  ];
}

/** What is wrong with a glob, or null. */
export function globFault(pattern: string): string | null {
  try {
    compileGlob(pattern);
    return null;
  } catch (error) {
    if (error instanceof GlobSyntaxError) return error.message;
    throw error;
  }
}

/** What is wrong with an RE2 expression, or null. */
export function regexFault(expression: string): string | null {
  try {
    RE2JS.compile(expression);
    return null;
  } catch (error) {
    if (error instanceof RE2JSException) return error.message;
    throw error;
  }
}
