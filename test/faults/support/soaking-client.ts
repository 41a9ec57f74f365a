import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { contentOf, randomContent, imageOf } from './images.ts';
import type { Content, Image } from './images.ts';
import { patchUpload, pushImage, requireStatus } from './pushing.ts';
import type { RegistryClient } from './registry-client.ts';
import type { SeededRandom } from './seeded-random.ts';

const TAGS = 4;
const LAYER_BYTES_MAX = 32 * 1024;
/** Between two operations. */
const THINK_MS = 40;

/**
 * A client of everyday life: it replaces images under a few tags of its own, pulls them back and compares, lists, and
 * leaves uploads in the middle. What it needs on the server is bounded, however long it works; and it replaces no more
 * than collection, which keeps to its share of the machine, can take away meanwhile.
 */
export class SoakingClient {
  /** Milliseconds that pulls of a manifest took, since they were last taken away. */
  readonly pullsMs: number[] = [];
  operations = 0;
  #client: RegistryClient;
  #repo: string;
  #name: string;
  #random: SeededRandom;
  #tags = new Map<string, Image>();

  constructor(client: RegistryClient, repo: string, name: string, random: SeededRandom) {
    this.#client = client;
    this.#repo = repo;
    this.#name = name;
    this.#random = random;
  }

  /** What its tags name: all that the server has to keep for it. */
  get images(): readonly Image[] {
    return [...this.#tags.values()];
  }

  /** Works for so long; every answer must be right. */
  async work(forMs: number): Promise<void> {
    for (const untilMs = performance.now() + forMs; performance.now() < untilMs; this.operations += 1) {
      const chance = this.#random.below(100);
      if (chance < 8 || this.#tags.size === 0) await this.#push();
      else if (chance < 82) await this.#pull();
      else if (chance < 92) await this.#list();
      else if (chance < 96) await this.#leaveUpload();
      else await this.#delete();
      await pause(THINK_MS);
    }
  }

  async #push(): Promise<void> {
    const layers = [0, 1].map(() => randomContent(this.#random, 1 + this.#random.below(LAYER_BYTES_MAX)));
    const image = imageOf(layers, `${this.#name} ${this.#random.below(2 ** 30)}`);
    const tag = `${this.#name}-${this.#random.below(TAGS)}`;
    // What the tag names is in doubt until the answer is there.
    this.#tags.delete(tag);
    await pushImage(this.#client, this.#repo, image, tag);
    this.#tags.set(tag, image);
  }

  /** Pulls everything that its tags name, and compares. */
  async verify(client: RegistryClient): Promise<void> {
    this.#client = client;
    for (const [tag, image] of this.#tags) await this.#pullImage(tag, image);
  }

  async #pull(): Promise<void> {
    await this.#pullImage(...this.#anyTag());
  }

  async #pullImage(tag: string, image: Image): Promise<void> {
    const startedMs = performance.now();
    const { body } = requireStatus(
      await this.#client.send('GET', `/v2/${this.#repo}/manifests/${tag}`),
      [200],
    );
    this.pullsMs.push(performance.now() - startedMs);
    assert.equal(contentOf(body).digest, image.manifest.digest, `${tag} is another image`);
    for (const blob of image.blobs) await this.#pullBlob(blob);
  }

  async #pullBlob({ digest }: Content): Promise<void> {
    const { body } = requireStatus(
      await this.#client.send('GET', `/v2/${this.#repo}/blobs/${digest}`),
      [200],
    );
    assert.equal(contentOf(body).digest, digest);
  }

  async #list(): Promise<void> {
    const { body } = requireStatus(await this.#client.send('GET', `/v2/${this.#repo}/tags/list`), [200]);
    const listed = new Set((JSON.parse(body.toString()) as { readonly tags: readonly string[] }).tags);
    for (const tag of this.#tags.keys()) assert.ok(listed.has(tag), `${tag} is not listed`);
    const [, image] = this.#anyTag();
    const { digest } = image.manifest;
    requireStatus(await this.#client.send('GET', `/v2/${this.#repo}/referrers/${digest}`), [200]);
    requireStatus(await this.#client.send('GET', '/v2/_catalog?n=10'), [200]);
  }

  async #leaveUpload(): Promise<void> {
    const begun = requireStatus(await this.#client.send('POST', `/v2/${this.#repo}/blobs/uploads/`), [202]);
    const { bytes } = randomContent(this.#random, 1 + this.#random.below(LAYER_BYTES_MAX));
    requireStatus(await patchUpload(this.#client, String(begun.headers.location), bytes, 0), [202]);
  }

  async #delete(): Promise<void> {
    const [tag] = this.#anyTag();
    this.#tags.delete(tag);
    requireStatus(await this.#client.send('DELETE', `/v2/${this.#repo}/manifests/${tag}`), [202]);
  }

  #anyTag(): readonly [string, Image] {
    const all = [...this.#tags];
    const found = all[this.#random.below(all.length)];
    assert.ok(found);
    return found;
  }
}
