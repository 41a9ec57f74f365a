import { CelError, compileCel } from '../access/cel/cel.ts';

/** What is wrong with a CEL expression of the configuration, or null. */
export function checkExpression(expression: string, variables: readonly string[]): string | null {
  try {
    compileCel(expression, variables);
    return null;
  } catch (error) {
    if (error instanceof CelError) return error.message;
    throw error;
  }
}
