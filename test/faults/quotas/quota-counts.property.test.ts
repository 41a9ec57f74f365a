/**
 * What quotas count is what a full recount of the files finds, after any sequence of pushes, mounts, deletes, renames,
 * collections, changes of other tools, restarts and losses of the index; with equal blobs stored once and not.
 */
import { mkdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseRepoName } from '#oci/repo-name';
import { RegistryError } from '#registry';
import { LocalDriver, OWN_FOLDER } from '#storage';
import { roundsOr, seed } from '../support/settings.ts';
import { Actor, REPOS, TAGS } from '../gc/actor.ts';
import { CollectedRegistry, DELAY_MS } from '../gc/collected-registry.ts';
import { BLOBS, PIECES } from '../gc/model.ts';
import { countingQuotas, requireExactCounts } from './recount.ts';

const QUOTAS = countingQuotas('', 'team', 'team/app', 'team/app/more', 'tea');

const OTHERS = [
  'sweep',
  'collect',
  'restart',
  'index lost',
  'blob added',
  'blob gone',
  'layout gone',
  'rename there and back',
  'remove',
] as const;
const ELSEWHERE = parseRepoName('tea/elsewhere');

const repoAt = fc.constantFrom(...REPOS);
const blobAt = fc.nat(BLOBS.length - 1);
const pieceAt = fc.nat(PIECES.length - 1);
const bring = fc.record({ do: fc.constantFrom('upload', 'mount', 'giveUp'), repo: repoAt, at: blobAt });
const push = fc.record({ do: fc.constantFrom('push', 'push whole'), repo: repoAt, at: pieceAt });
const take = fc.record({
  do: fc.constantFrom('deleteTag', 'deleteManifest', 'deleteBlob'),
  repo: repoAt,
  at: pieceAt,
});
const other = fc.record({
  do: fc.constantFrom(...OTHERS),
  repo: repoAt,
  at: blobAt,
});
const step = fc.oneof(
  { weight: 5, arbitrary: bring },
  { weight: 5, arbitrary: push },
  { weight: 3, arbitrary: take },
  { weight: 3, arbitrary: other },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const tagOf = (at: number): string | null => TAGS[at % (TAGS.length + 1)] ?? null;

async function act(next: Step, actor: Actor, collected: CollectedRegistry): Promise<void> {
  const { do: what, repo, at } = next;
  const mine = at % BLOBS.length;
  const elsewhere = REPOS[(REPOS.indexOf(repo) + 1) % REPOS.length] ?? repo;
  const acts: Record<string, () => Promise<unknown>> = {
    upload: () => actor.upload(repo, mine),
    mount: () => actor.mount(repo, elsewhere, mine),
    giveUp: () => actor.giveUp(repo),
    push: () => actor.push(repo, at, tagOf(at)),
    'push whole': () => pushWhole(actor, repo, at),
    deleteTag: () => actor.deleteTag(repo, TAGS[at % TAGS.length] ?? ''),
    deleteManifest: () => actor.deleteManifest(repo, at),
    deleteBlob: () => actor.deleteBlob(repo, mine),
    sweep: () => {
      collected.clock.advance(DELAY_MS * 1.1);
      return collected.sweep();
    },
    collect: () => collected.collectAll(),
    'rename there and back': () => thereAndBack(repo, collected),
    remove: () => orUnknown(collected.opened.registry.removeRepository(repo)),
  };
  await (acts[what]?.() ?? disturb(what, { repo, at: mine }, collected));
}

async function thereAndBack(repo: Step['repo'], collected: CollectedRegistry): Promise<void> {
  const { registry } = collected.opened;
  if ((await orUnknown(registry.renameRepository(repo, ELSEWHERE))) === null) return;
  await requireExactCounts(collected.opened);
  await registry.renameRepository(ELSEWHERE, repo);
}

async function orUnknown<Result>(asked: Promise<Result>): Promise<Result | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NAME_UNKNOWN') return null;
    throw error;
  }
}

async function pushWhole(actor: Actor, repo: Step['repo'], at: number): Promise<void> {
  const digests = PIECES[at]?.blobs.map(({ digest }) => digest) ?? [];
  for (const wanted of digests)
    await actor.upload(
      repo,
      BLOBS.findIndex(({ digest }) => digest === wanted),
    );
  return actor.push(repo, at, tagOf(at));
}

/** What happens to the folder and the process. */
async function disturb(
  what: string,
  { repo, at }: { readonly repo: (typeof REPOS)[number]; readonly at: number },
  collected: CollectedRegistry,
): Promise<void> {
  const folder = join(collected.root, 'store', repo);
  const blob = BLOBS[at] as (typeof BLOBS)[number];
  const file = join(folder, 'blobs', ...blob.digest.split(':'));
  if (what === 'restart' || what === 'index lost') {
    await collected.stop();
    if (what === 'index lost') await rm(join(collected.root, OWN_FOLDER, 'index.db'));
    return collected.start();
  }
  const { keeper, index } = collected.opened;
  if ((await index.findRepository(repo)) === null) return;
  if (what === 'blob added') await writeFile(file, blob.bytes);
  if (what === 'blob gone') await rm(file, { force: true });
  if (what === 'layout gone') await rm(join(folder, 'index.json'));
  // Another tool changes index.json with what it does; the sweep that is asked for looks at the whole folder.
  else await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [] }));
  await keeper.refresh(repo);
}

/** Without what other tools do: then the promises of the actor hold too. */
async function play(collected: CollectedRegistry, steps: readonly Step[]): Promise<void> {
  const actor = new Actor(collected);
  for (const next of steps) {
    await act(next, actor, collected).catch((error: unknown) => {
      // After another tool took something away, a push may find less than it was promised.
      if (!String(error).includes('a push lost what it relied on')) throw error;
    });
    await requireExactCounts(collected.opened);
  }
}

describe('the counts of quotas', { timeout: 240_000 }, () => {
  for (const dedupe of [true, false]) {
    test(`are those of the files, dedupe ${dedupe}`, async () => {
      const steps = fc.array(step, { minLength: 5, maxLength: 40 });
      const property = fc.asyncProperty(steps, async (list) => {
        const make = (root: string): LocalDriver => {
          mkdirSync(`${root}/store`);
          return new LocalDriver(`${root}/store`);
        };
        const collected = await CollectedRegistry.open(make, undefined, { quotas: QUOTAS, dedupe });
        try {
          await play(collected, list);
        } finally {
          await collected.remove();
        }
      });
      await fc.assert(property, { numRuns: 25 * roundsOr(1), seed, interruptAfterTimeLimit: 100_000 });
    });
  }
});
