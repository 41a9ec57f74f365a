import { CelError, compileCel } from '../access/cel/cel.ts';
import { compileCondition } from '../access/policy/conditions.ts';

/** What is wrong with a CEL expression of the configuration, or null. One that is about `req` is a condition. */
export function checkExpression(expression: string, variables: readonly string[]): string | null {
  try {
    if (variables.includes('req')) compileCondition(expression, '');
    else compileCel(expression, variables);
    return null;
  } catch (error) {
    if (error instanceof CelError) return error.message;
    throw error;
  }
}
