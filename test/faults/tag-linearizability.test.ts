/**
 * R13: eight clients put, read, list and delete the same few tags over two serving processes, also while processes are
 * killed. Every tag's history must be explained by one order of its operations: what was acknowledged is seen by
 * everybody from then on, through every process.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { describe, test } from 'node:test';
import { startServer } from '../support/server.ts';
import type { RunningServer } from '../support/server.ts';
import { retry } from '../support/eventually.ts';
import { imageOf, randomContent } from './support/images.ts';
import type { Manifest } from './support/images.ts';
import { explain } from './support/linearizability.ts';
import type { Recorded, TagOperation } from './support/linearizability.ts';
import { pushImage, pushManifest } from './support/pushing.ts';
import { NoAnswer, RegistryClient } from './support/registry-client.ts';
import type { Answer } from './support/registry-client.ts';
import { SeededRandom } from './support/seeded-random.ts';
import { remarks, serverProcesses } from './support/server-processes.ts';
import { roundsOr, seed, timeoutFor } from './support/settings.ts';

const REPO = 'library/app';
const TAGS = ['latest', 'stable', 'edge'];
const CLIENTS = 8;
const OPERATIONS = 50;
const ROUNDS = roundsOr(1);

/** What an answer says an operation did; `null`: nobody knows. */
function readAnswer(asked: TagOperation, answer: Answer): TagOperation | null {
  const { status } = answer;
  if (status === 503 && answer.headers['retry-after'] !== undefined) return null;
  if (asked.kind === 'put' && status === 201) return asked;
  if (asked.kind === 'delete' && (status === 202 || status === 404))
    return { kind: 'delete', found: status === 202 };
  if (asked.kind === 'get' && status === 404) return { kind: 'get', digest: null };
  if (asked.kind === 'get' && status === 200) {
    return { kind: 'get', digest: String(answer.headers['docker-content-digest']) };
  }
  throw new Error(`${asked.kind} was answered with ${status}: ${answer.body.toString().slice(0, 300)}`);
}

/** One client, which notes what it asked and was told, by tag. */
class TagClient {
  #name: string;
  #client: RegistryClient;
  #random: SeededRandom;
  #manifests: readonly Manifest[];
  #histories: ReadonlyMap<string, Recorded[]>;

  constructor(
    name: string,
    client: RegistryClient,
    shared: {
      random: SeededRandom;
      manifests: readonly Manifest[];
      histories: ReadonlyMap<string, Recorded[]>;
    },
  ) {
    this.#name = name;
    this.#client = client;
    this.#random = shared.random;
    this.#manifests = shared.manifests;
    this.#histories = shared.histories;
  }

  async run(operations: number): Promise<void> {
    for (let count = 0; count < operations; count += 1) {
      const tag = TAGS[this.#random.below(TAGS.length)] ?? '';
      const choice = this.#random.below(10);
      if (choice === 0) await this.#list();
      else await this.#ask(tag, choice);
    }
  }

  async #ask(tag: string, choice: number): Promise<void> {
    const path = `/v2/${REPO}/manifests/${tag}`;
    if (choice < 5) {
      const manifest = this.#manifests[this.#random.below(this.#manifests.length)];
      assert.ok(manifest);
      const asked = { kind: 'put', digest: manifest.digest } as const;
      await this.#record(tag, asked, () => pushManifest(this.#client, REPO, manifest, tag));
    } else if (choice < 7) {
      await this.#record(tag, { kind: 'delete', found: null }, () => this.#client.send('DELETE', path));
    } else await this.#record(tag, { kind: 'get', digest: null }, () => this.#client.send('GET', path));
  }

  async #record(tag: string, asked: TagOperation, send: () => Promise<Answer>): Promise<void> {
    const calledMs = performance.now();
    const answer = await this.#answered(send);
    const told = answer === null ? null : readAnswer(asked, answer);
    const changes = asked.kind === 'put' || asked.kind === 'delete';
    // A read without an answer says nothing.
    if (told === null && !changes) return;
    const answeredMs = told === null ? null : performance.now();
    const recorded = { operation: told ?? asked, calledMs, answeredMs, client: this.#name };
    this.#histories.get(tag)?.push(recorded);
  }

  async #list(): Promise<void> {
    const calledMs = performance.now();
    const answer = await this.#answered(() => this.#client.send('GET', `/v2/${REPO}/tags/list`));
    const answeredMs = performance.now();
    if (answer === null || answer.status === 503) return;
    assert.equal(answer.status, 200, answer.body.toString());
    const { tags } = JSON.parse(answer.body.toString()) as { tags: string[] };
    for (const tag of TAGS) {
      const operation = { kind: 'seen', present: tags.includes(tag) } as const;
      this.#histories.get(tag)?.push({ operation, calledMs, answeredMs, client: this.#name });
    }
  }

  async #answered(send: () => Promise<Answer>): Promise<Answer | null> {
    try {
      return await send();
    } catch (error) {
      if (error instanceof NoAnswer) return null;
      throw error;
    }
  }
}

async function killWhile(server: RunningServer, working: Promise<unknown>): Promise<void> {
  for (const victim of ['keeper', 'worker'] as const) {
    const found = await retry(async () => {
      const { keeper, workers } = await serverProcesses(server.pid);
      const pid = victim === 'keeper' ? keeper : workers[0];
      assert.ok(pid);
      return pid;
    }, 10_000);
    process.kill(found, 'SIGKILL');
    await Promise.race([working, new Promise((resolve) => setTimeout(resolve, 700))]);
  }
}

describe('tags under eight clients and two processes', { timeout: timeoutFor(ROUNDS * 3, 20_000) }, () => {
  for (const { workers, kills } of [
    { workers: 1, kills: false },
    { workers: 2, kills: false },
    { workers: 2, kills: true },
  ]) {
    const how = `workers ${workers}${kills ? ', while processes are killed' : ''}`;
    test(`take each operation at one moment: ${how}`, async (context) => {
      const server = await startServer({ config: { http: { workers }, storage: { commit: false } } });
      const preparing = new RegistryClient(server.url);
      try {
        const random = new SeededRandom(seed);
        const layer = randomContent(random, 500);
        const images = Array.from({ length: 5 }, (_, at) => imageOf([layer], `image ${at}`));
        for (const image of images) await pushImage(preparing, REPO, image);
        for (let round = 0; round < ROUNDS; round += 1) {
          const histories = new Map(TAGS.map((tag) => [tag, [] as Recorded[]]));
          const manifests = images.map(({ manifest }) => manifest);
          const clients = Array.from(
            { length: CLIENTS },
            (_, at) =>
              new TagClient(`c${at}`, new RegistryClient(server.url, { keepAlive: false }), {
                random: new SeededRandom(random.below(2 ** 30)),
                manifests,
                histories,
              }),
          );
          const working = Promise.all(clients.map((client) => client.run(OPERATIONS)));
          if (kills) await killWhile(server, working);
          await working;
          for (const [tag, history] of histories) {
            assert.equal(explain(history), null, `${tag} in round ${round}\n${remarks(server.stdout())}`);
            context.diagnostic(`${tag}: ${history.length} operations`);
          }
          // Each round begins with tags that are absent.
          for (const tag of TAGS) await preparing.send('DELETE', `/v2/${REPO}/manifests/${tag}`);
        }
      } finally {
        preparing.close();
        await server.kill();
        await server.stop();
      }
    });
  }
});
