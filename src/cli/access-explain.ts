import { isIP } from 'node:net';
import { ConfigError, formatProblem, loadConfig } from '#config';
import { explainAccess } from '#access';
import type { AccessExplanation, AccessQuery, Action } from '#access';
import { isDigest } from '#oci/digest';
import { isRepoName, parseRepoName } from '#oci/repo-name';
import { UsageError } from './command.ts';
import type { CommandIo } from './command.ts';
import { explanationText } from './explanation-text.ts';

export interface ExplainArguments {
  readonly path: string;
  readonly user: string | null;
  readonly groups: readonly string[];
  readonly repo: string | null;
  readonly action: string | null;
  readonly reference: string | null;
  readonly ip: string | null;
  readonly claims: string | null;
  readonly at: string | null;
  readonly json: boolean;
}

/** What people call the things that they do. */
const ACTIONS: Readonly<Record<string, readonly Action[]>> = {
  pull: ['read'],
  push: ['create', 'update'],
  read: ['read'],
  create: ['create'],
  update: ['update'],
  delete: ['delete'],
};

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
export const EXIT_REFUSED = 2;

/**
 * `zot access explain`: says which rule of a configuration decides about a request, and why. Gives 0 when all that was
 * asked is allowed, 2 when something is refused, and 1 when the configuration cannot be used.
 */
export async function accessExplainCommand(args: ExplainArguments, io: CommandIo): Promise<number> {
  const query = queryOf(args);
  let explained: AccessExplanation;
  try {
    explained = await explainAccess(loadConfig(args.path).config, query);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) io.stderr.write(`Error: ${formatProblem(problem)}\n`);
    return 1;
  }
  const { repo, reference, username } = query;
  const asked = { user: username, repository: repo, reference, action: args.action ?? 'pull' };
  io.stdout.write(
    args.json
      ? `${JSON.stringify({ ...asked, ...explained }, null, 2)}\n`
      : explanationText(query, explained),
  );
  return explained.explanations.every(({ allowed }) => allowed) ? 0 : EXIT_REFUSED;
}

function queryOf(args: ExplainArguments): AccessQuery {
  const { repo, reference, ip } = args;
  if (repo === null) throw new UsageError('name the repository: --repo team/app');
  if (!isRepoName(repo)) throw new UsageError(`"${repo}" is no name of a repository`);
  const actions = ACTIONS[args.action ?? 'pull'];
  if (actions === undefined) {
    throw new UsageError(`"${args.action}" is no action; write ${Object.keys(ACTIONS).join(', ')}`);
  }
  requireReference(reference);
  if (ip !== null && isIP(ip) === 0) throw new UsageError(`"${ip}" is no IP address`);
  return {
    username: args.user ?? '',
    groups: args.groups,
    claims: claimsOf(args.claims),
    repo: parseRepoName(repo),
    actions,
    reference: reference ?? '',
    clientAddress: ip ?? '127.0.0.1',
    nowMs: timeOf(args.at),
  };
}

function requireReference(reference: string | null): void {
  if (reference === null || TAG.test(reference) || isDigest(reference)) return;
  throw new UsageError(`"${reference}" is neither a tag nor a digest`);
}

function claimsOf(text: string | null): AccessQuery['claims'] {
  if (text === null) return null;
  try {
    const claims: unknown = JSON.parse(text);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return { ...claims };
  } catch (error) {
    throw new UsageError('--claims is not JSON', { cause: error });
  }
  throw new UsageError('--claims is not a JSON object');
}

function timeOf(text: string | null): number {
  const timeMs = text === null ? Date.now() : Date.parse(text);
  if (Number.isNaN(timeMs)) throw new UsageError(`"${text}" is no time; write it as 2026-01-31T09:00:00Z`);
  return timeMs;
}
