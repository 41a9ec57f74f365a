import type { Config } from '#config';
import { CelError, compileCel } from '../cel/cel.ts';
import type { CelProgram } from '../cel/cel.ts';
import { TokenError } from '../bearer/signed-token.ts';
import type { Claims } from '../bearer/signed-token.ts';

type OidcEntry = NonNullable<Config['http']['auth']['bearer']>['oidc'][number];
export type MappingConfig = OidcEntry['claimMapping'];

export interface MappedUser {
  readonly username: string;
  readonly groups: readonly string[];
}

/** Turns the claims of a verified token into a user. Throws `TokenError` for tokens that do not satisfy it. */
export type ClaimMapping = (claims: Claims) => MappedUser;

const DEFAULT_USERNAME = "claims.iss + '/' + claims.sub";
const NAMES = ['claims', 'vars'] as const;
const USERNAME_CHARS_MAX = 1024;
const GROUPS_MAX = 10_000;

/**
 * Compiles a mapping of claims in CEL. Evaluated in the order: variables, each of which sees the ones before it,
 * validations, username, groups. Throws `CelError` for an expression that cannot be used.
 */
export function compileMapping(config: MappingConfig): ClaimMapping {
  const { variables = [], validations = [], username = '', groups = '' } = config ?? {};
  const compiled = {
    variables: variables.map(({ name, expression }) => ({ name, program: compileCel(expression, NAMES) })),
    validations: validations.map(({ expression, message }) => ({
      program: compileCel(expression, NAMES),
      message: message === '' ? `the token does not satisfy ${expression}` : message,
    })),
    username: compileCel(username === '' ? DEFAULT_USERNAME : username, NAMES),
    groups: groups === '' ? null : compileCel(groups, NAMES),
  };
  return (claims) => {
    const vars: Record<string, unknown> = {};
    for (const { name, program } of compiled.variables)
      vars[name] = evaluate(program, { claims, vars }, `the variable ${name}`);
    for (const { program, message } of compiled.validations) {
      if (evaluate(program, { claims, vars }, 'a validation') !== true) throw new TokenError(message);
    }
    return {
      username: usernameOf(evaluate(compiled.username, { claims, vars }, 'username')),
      groups: compiled.groups === null ? [] : groupsOf(evaluate(compiled.groups, { claims, vars }, 'groups')),
    };
  };
}

function evaluate(program: CelProgram, values: Readonly<Record<string, unknown>>, what: string): unknown {
  try {
    return program.evaluate(values);
  } catch (error) {
    if (error instanceof CelError)
      throw new TokenError(`${what} has no value: ${error.message}`, { cause: error });
    throw error;
  }
}

function usernameOf(value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > USERNAME_CHARS_MAX)
    throw new TokenError('username is no text that could be a name');
  return value;
}

function groupsOf(value: unknown): readonly string[] {
  const list: unknown[] = Array.isArray(value) ? value : [null];
  if (list.length > GROUPS_MAX || !list.every((one) => typeof one === 'string'))
    throw new TokenError('groups is no list of texts');
  return [...new Set(list.map(String))].toSorted();
}
