/**
 * Expressions in CEL (Common Expression Language), as conditions of policies and mappings of claims use them: parsed
 * and checked once, evaluated often, bounded in what they may cost. With the options that zot has on: optional types,
 * the extensions strings, sets and encoders, comparison of numbers across types, UTC, lists and maps of one type.
 */
import { Environment } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';
import { serialize } from '@marcbachmann/cel-js/serialize';
import { expandOptionalMacros } from './optional-macros.ts';
import { registerEncoders, registerMatches, registerOptionals, registerSets } from './functions.ts';
import { nestingOf, renameMatches } from './syntax-tree.ts';
import { registerStrings } from './strings-extension.ts';

/** An expression that cannot be used, or whose evaluation failed; the message is for the operator. */
export class CelError extends Error {
  override readonly name = 'CelError';
}

export interface CelProgram {
  readonly source: string;
  /** The type of the result as far as it is known before evaluation: `bool`, `string`, `list<string>`, `dyn`. */
  readonly type: string;
  /** For checks of names before the first evaluation. */
  readonly ast: ASTNode;
  /**
   * Evaluates with these variables. Numbers are doubles, Date is timestamp, objects are maps, and what comes back is
   * alike (int as bigint). Throws `CelError` where the expression has no value or costs too much.
   */
  evaluate(variables: Readonly<Record<string, unknown>>): unknown;
}

const SOURCE_CHARS_MAX = 8192;
const LIMITS = {
  maxAstNodes: 4000,
  maxDepth: 64,
  maxListElements: 1000,
  maxMapEntries: 1000,
  maxCallArguments: 32,
};
/** Steps of nested loops over what a client sent. */
const STEPS_MAX = 1_000_000;
const NESTING_MAX = 4;

const environments = new Map<string, Environment>();

/** Parses and checks an expression over the named variables. Throws `CelError`. */
export function compileCel(source: string, variables: readonly string[]): CelProgram {
  if (source.length > SOURCE_CHARS_MAX)
    throw new CelError(`the expression is longer than ${SOURCE_CHARS_MAX} characters`);
  const environment = environmentOf(variables);
  try {
    const expanded = expandOptionalMacros(source, (text) => environment.parse(text).ast);
    const { ast, type } = checked(environment, expanded);
    const program = safeProgram(environment, ast);
    const nesting = nestingOf(ast);
    if (nesting > NESTING_MAX) throw new CelError(`loops are nested deeper than ${NESTING_MAX} levels`);
    return { source, type, ast, evaluate: (values) => evaluate(program, values, nesting) };
  } catch (error) {
    throw error instanceof CelError ? error : new CelError(firstLine(error), { cause: error });
  }
}

function environmentOf(variables: readonly string[]): Environment {
  const key = variables.join(' ');
  const known = environments.get(key);
  if (known !== undefined) return known;
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: true,
    limits: LIMITS,
  });
  for (const name of variables)
    environment.registerVariable(name, name === 'claims' || name === 'req' ? 'map' : 'dyn');
  registerMatches(environment);
  registerSets(environment);
  registerEncoders(environment);
  registerOptionals(environment);
  registerStrings(environment);
  environments.set(key, environment);
  return environment;
}

function checked(environment: Environment, source: string): { ast: ASTNode; type: string } {
  const parsed = environment.parse(source);
  const result = parsed.check();
  if (!result.valid) throw result.error ?? new CelError('the expression does not fit the types');
  return { ast: parsed.ast, type: result.type ?? 'dyn' };
}

/** The program with the library's own `matches`, which can hang, replaced by ours in every place. */
function safeProgram(environment: Environment, ast: ASTNode): (values: Record<string, unknown>) => unknown {
  renameMatches(ast);
  const program = environment.parse(serialize(ast));
  const result = program.check();
  if (!result.valid) throw result.error ?? new CelError('the expression does not fit the types');
  if (renameMatches(program.ast) > 0)
    throw new CelError('the expression uses matches() in a way that is not supported');
  return program;
}

function evaluate(
  program: (values: Record<string, unknown>) => unknown,
  values: Readonly<Record<string, unknown>>,
  nesting: number,
): unknown {
  if (nesting > 1 && largest(values, 0) ** nesting > STEPS_MAX) {
    throw new CelError('nested loops over lists of this size are not evaluated');
  }
  try {
    return program(values);
  } catch (error) {
    throw new CelError(firstLine(error), { cause: error });
  }
}

/** The most that one loop can go over: entries of a list or map, characters of a text that may be split. */
function largest(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null || value instanceof Date || depth > 32) return 1;
  const members: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return members.reduce<number>((most, member) => Math.max(most, largest(member, depth + 1)), members.length);
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0] ?? '';
}
