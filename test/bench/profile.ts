/** Summaries of the CPU profiles that Node writes with --cpu-prof: where the time went, by function and line. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

interface Profile {
  nodes: ProfileNode[];
  samples: number[];
  timeDeltas: number[];
}

interface Cost {
  selfUs: number;
  totalUs: number;
}

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const IDLE = new Set(['(idle)', '(program)', '(root)']);

/** Per profile in the folder: the functions with the most time of their own, and those of ours with the most in all. */
export function describeProfiles(folder: string, top = 25): string {
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  return files
    .map((name) => `${name}\n${describeProfile(readProfile(join(folder, name)), top)}`)
    .join('\n\n');
}

function readProfile(path: string): Profile {
  return JSON.parse(readFileSync(path, 'utf8')) as Profile;
}

function describeProfile(profile: Profile, top: number): string {
  const costs = costsOf(profile);
  const busyUs = [...costs].reduce((sum, [name, cost]) => (IDLE.has(name) ? sum : sum + cost.selfUs), 0);
  const line = ([name, cost]: [string, Cost], us: number): string =>
    [
      `${((us / busyUs) * 100).toFixed(1)} %`.padStart(9),
      `${(cost.selfUs / 1000).toFixed(0)} ms self`.padStart(14),
      `  ${name}`,
    ].join('');
  const bySelf = [...costs].filter(([name]) => !IDLE.has(name)).sort(([, a], [, b]) => b.selfUs - a.selfUs);
  const ours = [...costs]
    .filter(([name]) => name.includes(' src/'))
    .sort(([, a], [, b]) => b.totalUs - a.totalUs);
  return [
    `  busy ${(busyUs / 1000).toFixed(0)} ms; most time of their own:`,
    ...bySelf.slice(0, top).map((entry) => line(entry, entry[1].selfUs)),
    '  functions under src/ with the most time, callees included:',
    ...ours.slice(0, top).map((entry) => line(entry, entry[1].totalUs)),
  ].join('\n');
}

/** Time per function. A function that calls itself is counted once for each sample. */
function costsOf({ nodes, samples, timeDeltas }: Profile): Map<string, Cost> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(
    nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)),
  );
  const selfUs = new Map<number, number>();
  samples.forEach((id, index) => selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[index] ?? 0)));
  const costs = new Map<string, Cost>();
  for (const [id, us] of selfUs) {
    const seen = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const node = byId.get(at);
      if (node === undefined) break;
      const name = nameOf(node);
      const cost = costs.get(name) ?? { selfUs: 0, totalUs: 0 };
      if (at === id) cost.selfUs += us;
      if (!seen.has(name)) cost.totalUs += us;
      seen.add(name);
      costs.set(name, cost);
    }
  }
  return costs;
}

function nameOf({ callFrame }: ProfileNode): string {
  const { functionName, url, lineNumber } = callFrame;
  if (url === '') return functionName || '(anonymous)';
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  return `${functionName || '(anonymous)'} ${path.replace(REPOSITORY, '')}:${lineNumber + 1}`;
}
