import { CelError, compileCel } from '../cel/cel.ts';
import type { CelProgram } from '../cel/cel.ts';
import { fieldChains } from '../cel/syntax-tree.ts';
import { REQUEST_FIELDS } from './request-facts.ts';

export type Verdict =
  | { readonly holds: true }
  /** `error`: why it has no value; such a condition denies and tells the client nothing. */
  | { readonly holds: false; readonly error: string | null };

export interface Condition {
  readonly expression: string;
  /** What the operator wants the client to be told. */
  readonly message: string;
  check(facts: Readonly<Record<string, unknown>>): Verdict;
}

const HOLDS: Verdict = { holds: true };
const FAILS: Verdict = { holds: false, error: null };

/** Compiles a condition. Throws `CelError` for one that can never be evaluated. */
export function compileCondition(expression: string, message: string): Condition {
  const program = compileCel(expression, ['req']);
  if (program.type !== 'bool' && program.type !== 'dyn') {
    throw new CelError(`the expression is of the type ${program.type}, a condition must be bool`);
  }
  requireKnownFields(program);
  return { expression, message, check: (facts) => check(program, facts) };
}

function check(program: CelProgram, facts: Readonly<Record<string, unknown>>): Verdict {
  try {
    const value = program.evaluate({ req: facts });
    if (value === true) return HOLDS;
    return value === false ? FAILS : { holds: false, error: 'the expression is not of the type bool' };
  } catch (error) {
    return { holds: false, error: error instanceof Error ? error.message : String(error) };
  }
}

/** A field that does not exist would deny every request in silence. */
function requireKnownFields(program: CelProgram): void {
  for (const [variable, ...fields] of fieldChains(program.ast)) {
    if (variable !== 'req') continue;
    let known: object | true = REQUEST_FIELDS;
    for (const [at, field] of fields.entries()) {
      if (known === true) break;
      const next: object | true | undefined = Object.hasOwn(known, field)
        ? (known as Record<string, object | true>)[field]
        : undefined;
      if (next === undefined) {
        const place = ['req', ...fields.slice(0, at)].join('.');
        throw new CelError(`${place} has no field "${field}"; it has ${Object.keys(known).join(', ')}`);
      }
      known = next;
    }
  }
}
