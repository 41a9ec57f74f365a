/** A changed schedule of collection is taken over while the server runs, store by store, as `zot tasks` shows it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { zotJson } from '../../support/run-zot.ts';
import { startServer, type RunningServer } from '../../support/server.ts';
import { eventually } from '../../support/eventually.ts';

const HOUR_MS = 3_600_000;
const PATIENCE_MS = 20_000;

interface ShownJob {
  readonly name: string;
  readonly state: string;
  readonly nextRoundMs: number | null;
  readonly last: { readonly startedMs: number } | null;
}

type Storage = Record<string, unknown>;

for (const workers of [1, 2]) {
  describe(`background work after a reload, with ${workers} serving`, { timeout: 120_000 }, () => {
    let folder: string;
    let server: RunningServer;
    before(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'zot-tasks-'));
      const subPaths = { '/a': { rootDirectory: path.join(folder, 'a'), gc: true, gcInterval: '1h' } };
      const storage = { gc: true, gcInterval: '1h', gcDelay: '1h', subPaths };
      server = await startServer({ root: path.join(folder, 'data'), config: { http: { workers }, storage } });
    });
    after(async () => {
      await server.stop();
      await rm(folder, { recursive: true });
    });

    async function jobs(): Promise<ReadonlyMap<string, ShownJob>> {
      const shown = await zotJson<{ readonly jobs: readonly ShownJob[] }>('tasks', server.configFile);
      return new Map(shown.jobs.map((job) => [job.name, job]));
    }

    /** Waits until a job has had a round and waits for the next in about so many milliseconds; gives when it began. */
    async function waitsFor(name: string, intervalMs: number): Promise<number> {
      let startedMs = 0;
      await eventually(
        async () => {
          const job = (await jobs()).get(name);
          startedMs = job?.last?.startedMs ?? 0;
          const inMs = (job?.nextRoundMs ?? Infinity) - Date.now();
          return startedMs > 0 && inMs > intervalMs - 60_000 && inMs <= intervalMs;
        },
        PATIENCE_MS,
        `${name} waits for ${intervalMs} ms`,
      );
      return startedMs;
    }

    async function change(by: (storage: Storage) => Storage): Promise<void> {
      const config = JSON.parse(await readFile(server.configFile, 'utf8')) as { storage: Storage };
      await writeFile(`${server.configFile}.new`, JSON.stringify({ ...config, storage: by(config.storage) }));
      await rename(`${server.configFile}.new`, server.configFile);
    }

    const changeSubPath = (keys: Storage): Promise<void> =>
      change((storage) => {
        const { '/a': before } = storage['subPaths'] as Record<string, Storage>;
        return { ...storage, subPaths: { '/a': { ...before, ...keys } } };
      });

    it('begins anew in the store whose keys changed, and goes on as it was in the other', async () => {
      const before = { own: await waitsFor('gc', HOUR_MS), other: await waitsFor('gc /a', HOUR_MS) };
      await change((storage) => ({ ...storage, gcInterval: '3h' }));
      assert.ok((await waitsFor('gc', 3 * HOUR_MS)) > before.own, 'a sweep was due at once');
      assert.equal(await waitsFor('gc /a', HOUR_MS), before.other);
    });

    it('ends where collection is switched off, and comes back with it', async () => {
      const before = await waitsFor('gc', 3 * HOUR_MS);
      await changeSubPath({ gc: false });
      await eventually(async () => !(await jobs()).has('gc /a'), PATIENCE_MS, 'the job is gone');
      await changeSubPath({ gc: true, gcInterval: '2h' });
      await waitsFor('gc /a', 2 * HOUR_MS);
      assert.equal(await waitsFor('gc', 3 * HOUR_MS), before, 'the other store was left alone');
    });

    it('waits for the window of the day', async () => {
      // A window that began an hour ago would be open; this one is not for another two hours.
      const hour = (new Date().getUTCHours() + 2) % 24;
      const shown = (at: number): string => `${String(at % 24).padStart(2, '0')}:00`;
      const before = await waitsFor('gc /a', 2 * HOUR_MS);
      await changeSubPath({ gcTimeWindow: `${shown(hour)}-${shown(hour + 1)}` });
      await eventually(
        async () => ((await jobs()).get('gc /a')?.last ?? null) === null,
        PATIENCE_MS,
        'the job is another and has had no round',
      );
      await changeSubPath({ gcTimeWindow: '' });
      assert.ok((await waitsFor('gc /a', 2 * HOUR_MS)) > before);
    });
  });
}
