/** What it costs that a pushed blob is stored already: the push ends in a link instead of a new file. */
import type { LoadScenario, ScenarioCase, Target, TurnContext } from './scenario.ts';

const CLIENTS = 4;

/** Which content the plain turn of a registry pushed last: the next turn pushes it again, elsewhere. */
const lastSalts = new WeakMap<Target['subject'], string>();

function pushesMax({ quick }: TurnContext, sizeBytes: number): number {
  const most = sizeBytes > 100_000 ? 100 : 400;
  return quick ? most / 10 : most;
}

function pushes(name: string, sizeBytes: number, again: boolean): ScenarioCase {
  return {
    name,
    plan: (target, turn) => {
      const salt = again ? lastSalts.get(target.subject) : `${turn.salt}-${sizeBytes}`;
      if (salt === undefined) return null;
      lastSalts.set(target.subject, salt);
      return {
        kind: 'blob-pushes',
        origin: target.origin,
        clients: CLIENTS,
        // By number and not by time, so that the second turn has what the first had.
        limit: { durationMs: 120_000, opsMax: pushesMax(turn, sizeBytes) },
        repository: again ? 'bench/second' : 'bench/first',
        sizeBytes,
        style: 'put',
        salt,
      };
    },
  };
}

const sizes = [
  { text: '4 KiB', sizeBytes: 4096 },
  { text: '1 MiB', sizeBytes: 1024 * 1024 },
];

export const dedupedPush: LoadScenario = {
  kind: 'load',
  name: 'deduped-push',
  title: `Pushes of blobs, ${CLIENTS} clients: new ones, and then the same into another repository (linked, in ours)`,
  store: 'empty',
  writes: true,
  cases: sizes.flatMap(({ text, sizeBytes }) => [
    pushes(`new, ${text}`, sizeBytes, false),
    pushes(`stored already, ${text}`, sizeBytes, true),
  ]),
};
