import type { Config } from '#config';
import { actionMask } from './actions.ts';
import type { Condition } from './conditions.ts';

export type AccessControl = NonNullable<Config['http']['accessControl']>;
type RepositoryPolicy = AccessControl['repositories'][string];
type PolicyText = RepositoryPolicy['policies'][number];

/** One policy: who, what, under which conditions. */
export interface Rule {
  /** Where it stands, for people: `repositories["team/**"].policies[0]`. */
  readonly place: string;
  readonly users: readonly string[];
  readonly groups: readonly string[];
  readonly actions: readonly string[];
  readonly mask: number;
  readonly conditions: readonly Condition[];
}

/** What one name is granted: at once, and under conditions. */
export interface Grants {
  mask: number;
  readonly conditional: Rule[];
}

/** Whom rules name: users, members of groups of the configuration, and groups that sign-ins bring with them. */
export interface Subjects {
  readonly byUser: ReadonlyMap<string, Grants>;
  readonly byMember: ReadonlyMap<string, Grants>;
  readonly byGroup: ReadonlyMap<string, Grants>;
}

/** What is written under one pattern. */
export interface Entry extends Subjects {
  readonly pattern: string;
  readonly rules: readonly Rule[];
  readonly defaultMask: number;
  readonly anonymousMask: number;
}

export type ConditionCompiler = (expression: string, message: string) => Condition;

/** Makes the tables of one pattern, so that a decision looks up names instead of walking through policies. */
export function compileEntry(
  pattern: string,
  text: RepositoryPolicy,
  groups: AccessControl['groups'],
  compile: ConditionCompiler,
): Entry {
  const rules = text.policies.map((policy, at) =>
    compileRule(`repositories[${JSON.stringify(pattern)}].policies[${at}]`, policy, compile),
  );
  return {
    pattern,
    rules,
    defaultMask: actionMask(text.defaultPolicy),
    anonymousMask: actionMask(text.anonymousPolicy),
    ...subjectsOf(rules, groups),
  };
}

export function compileRule(place: string, text: PolicyText, compile: ConditionCompiler): Rule {
  return {
    place,
    users: text.users,
    groups: text.groups,
    actions: text.actions,
    mask: actionMask(text.actions),
    conditions: text.conditions.map(({ expression, message }) => compile(expression, message)),
  };
}

export function subjectsOf(rules: readonly Rule[], groups: AccessControl['groups']): Subjects {
  const byUser = new Map<string, Grants>();
  const byMember = new Map<string, Grants>();
  const byGroup = new Map<string, Grants>();
  for (const rule of rules) {
    for (const name of new Set(rule.users)) grant(byUser, name, rule);
    for (const name of new Set(rule.groups)) grant(byGroup, name, rule);
    const members = rule.groups.flatMap((name) => membersOf(groups, name));
    for (const name of new Set(members)) grant(byMember, name, rule);
  }
  return { byUser, byMember, byGroup };
}

function grant(table: Map<string, Grants>, name: string, rule: Rule): void {
  const grants = table.get(name) ?? { mask: 0, conditional: [] };
  table.set(name, grants);
  if (rule.conditions.length === 0) grants.mask |= rule.mask;
  else grants.conditional.push(rule);
}

/** Members of a group as policies name it: by its own spelling, or as zot reads names of groups, in lower case. */
export function membersOf(groups: AccessControl['groups'], wanted: string): string[] {
  return Object.entries(groups)
    .filter(([name]) => name === wanted || name.toLowerCase() === wanted)
    .flatMap(([, { users }]) => users);
}

/** The groups of the configuration by member, under each spelling that policies may use. */
export function groupsByMember(groups: AccessControl['groups']): ReadonlyMap<string, readonly string[]> {
  const table = new Map<string, string[]>();
  for (const [name, { users }] of Object.entries(groups)) {
    for (const user of new Set(users)) table.set(user, [...(table.get(user) ?? []), name]);
  }
  return table;
}
