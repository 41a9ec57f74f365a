import type { Acknowledged, Outcome } from './acknowledged.ts';
import { contentOf, indexOf, randomContent, randomImage } from './images.ts';
import type { Content, Image, Manifest } from './images.ts';
import { BLOB_WAYS, patchUpload, pushBlob, pushManifest } from './pushing.ts';
import { NoAnswer } from './registry-client.ts';
import type { Answer, RegistryClient } from './registry-client.ts';
import type { SeededRandom } from './seeded-random.ts';

/** What happened to the requests of a client. */
export interface Tally {
  /** Operations that were done, by their name. */
  readonly done: Map<string, number>;
  /** Answers that no client should ever see, in words. */
  readonly wrong: string[];
}

const TAGS = 5;
const LAYER_BYTES_MAX = 48 * 1024;
/** Answers that a registry whose processes die may give to requests that are right. */
const UNAVAILABLE = [503];

/**
 * A client that pushes, moves, deletes and reads as fast as it is answered. Its tags, manifests and blobs are its own,
 * in repositories that it shares with others.
 */
export class PushingClient {
  readonly tally: Tally = { done: new Map(), wrong: [] };
  #name: string;
  #client: RegistryClient;
  #repos: readonly string[];
  #acknowledged: Acknowledged;
  #random: SeededRandom;
  #images: { repo: string; image: Image }[] = [];
  #generation = 0;

  constructor(options: {
    readonly name: string;
    readonly client: RegistryClient;
    readonly repos: readonly string[];
    readonly acknowledged: Acknowledged;
    readonly random: SeededRandom;
  }) {
    this.#name = options.name;
    this.#client = options.client;
    this.#repos = options.repos;
    this.#acknowledged = options.acknowledged;
    this.#random = options.random;
  }

  /** Works until it is told to stop. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) await this.#step(stop);
  }

  async #step(stop: AbortSignal): Promise<void> {
    const [name, work] = this.#pick();
    try {
      const outcome = await work();
      if (outcome === 'done') this.tally.done.set(name, (this.tally.done.get(name) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      // The process that was asked is gone; while another takes its place there is nobody to ask.
      if (!stop.aborted) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #pick(): readonly [string, () => Promise<Outcome>] {
    const chances = [
      [34, 'push of an image', () => this.#pushImage()],
      [12, 'move of a tag', () => this.#moveTag()],
      [8, 'push of an index', () => this.#pushIndex()],
      [10, 'delete of a tag', () => this.#deleteTag()],
      [7, 'delete of a manifest', () => this.#deleteManifest()],
      [8, 'delete of a blob', () => this.#deleteBlob()],
      [6, 'open upload', () => this.#beginUpload()],
      [15, 'read', () => this.#read()],
    ] as const;
    let at = this.#random.below(100);
    for (const [chance, name, work] of chances) {
      at -= chance;
      if (at < 0) return [name, work];
    }
    return ['read', () => this.#read()];
  }

  #repo(): string {
    return this.#repos[this.#random.below(this.#repos.length)] ?? '';
  }

  /** A tag of this client whose value is known; a new name when all others are in doubt. */
  #tag(repo: string): string {
    for (let attempt = 0; attempt < TAGS; attempt += 1) {
      const tag = `${this.#name}-${this.#generation}-${this.#random.below(TAGS)}`;
      if (this.#acknowledged.valueOf(`${repo}/manifests/${tag}`) !== undefined) return tag;
    }
    this.#generation += 1;
    return this.#tag(repo);
  }

  async #pushImage(): Promise<Outcome> {
    const repo = this.#repo();
    const layers = 1 + this.#random.below(4);
    const image = randomImage(this.#random, { layers, layerBytesMax: LAYER_BYTES_MAX });
    for (const blob of image.blobs) {
      const outcome = await this.#pushBlob(repo, blob);
      if (outcome !== 'done') return outcome;
    }
    const outcome = await this.#pushManifest(repo, image.manifest, this.#tag(repo));
    if (outcome === 'done') this.#images.push({ repo, image });
    if (this.#images.length > 30) this.#images.shift();
    return outcome;
  }

  async #pushBlob(repo: string, blob: Content): Promise<Outcome> {
    const way = BLOB_WAYS[this.#random.below(BLOB_WAYS.length)] ?? 'post';
    const changes = new Map([[`${repo}/blobs/${blob.digest}`, blob.digest]]);
    return this.#acknowledged.change(changes, () =>
      this.#outcome(() => pushBlob(this.#client, repo, blob, way), [201]),
    );
  }

  async #pushManifest(repo: string, manifest: Manifest, tag: string): Promise<Outcome> {
    const changes = new Map([
      [`${repo}/manifests/${tag}`, manifest.digest],
      [`${repo}/manifests/${manifest.digest}`, manifest.digest],
    ]);
    return this.#acknowledged.change(changes, () =>
      this.#outcome(() => pushManifest(this.#client, repo, manifest, tag), [201]),
    );
  }

  /** An image of this client that is known to be there. */
  #image(): { repo: string; image: Image } | undefined {
    const { length } = this.#images;
    const found = this.#images[this.#random.below(Math.max(1, length))];
    if (found === undefined) return undefined;
    const { digest } = found.image.manifest;
    return this.#acknowledged.valueOf(`${found.repo}/manifests/${digest}`) === digest ? found : undefined;
  }

  async #moveTag(): Promise<Outcome> {
    const found = this.#image();
    if (found === undefined) return this.#pushImage();
    return this.#pushManifest(found.repo, found.image.manifest, this.#tag(found.repo));
  }

  async #pushIndex(): Promise<Outcome> {
    const found = this.#image();
    if (found === undefined) return this.#pushImage();
    const others = this.#images.filter(({ repo }) => repo === found.repo).map(({ image }) => image.manifest);
    const there = others.filter(
      ({ digest }) => this.#acknowledged.valueOf(`${found.repo}/manifests/${digest}`) === digest,
    );
    const annotations = { number: `${this.#random.below(2 ** 30)}` };
    return this.#pushManifest(found.repo, indexOf(there.slice(0, 3), { annotations }), this.#tag(found.repo));
  }

  async #deleteTag(): Promise<Outcome> {
    const repo = this.#repo();
    const path = `${repo}/manifests/${this.#tag(repo)}`;
    const expected = this.#acknowledged.valueOf(path) === null ? 404 : 202;
    return this.#acknowledged.change(new Map([[path, null]]), () =>
      this.#outcome(() => this.#client.send('DELETE', `/v2/${path}`), [expected]),
    );
  }

  /** Deletes an image by digest, with the tags that name it; an index that lists it stands in the way. */
  async #deleteManifest(): Promise<Outcome> {
    const found = this.#image();
    if (found === undefined) return this.#read();
    const { digest } = found.image.manifest;
    const ownTags = `${found.repo}/manifests/${this.#name}-`;
    if (this.#acknowledged.mayBe(ownTags, digest)) return this.#read();
    const changes = new Map<string, null>([[`${found.repo}/manifests/${digest}`, null]]);
    for (const [path, value] of this.#acknowledged.present()) {
      if (path.startsWith(ownTags) && value === digest) changes.set(path, null);
    }
    return this.#acknowledged.change(changes, () =>
      this.#outcome(() => this.#client.send('DELETE', `/v2/${found.repo}/manifests/${digest}`), [202], [405]),
    );
  }

  /** Pushes a blob that no manifest uses, and deletes it. */
  async #deleteBlob(): Promise<Outcome> {
    const repo = this.#repo();
    const blob = randomContent(this.#random, 1 + this.#random.below(2000));
    const outcome = await this.#pushBlob(repo, blob);
    if (outcome !== 'done') return outcome;
    const path = `${repo}/blobs/${blob.digest}`;
    return this.#acknowledged.change(new Map([[path, null]]), () =>
      this.#outcome(() => this.#client.send('DELETE', `/v2/${path}`), [202]),
    );
  }

  /** Begins an upload, sends one part or two, and leaves it. */
  async #beginUpload(): Promise<Outcome> {
    const { bytes } = randomContent(this.#random, 1000 + this.#random.below(40_000));
    const begun = await this.#client.send('POST', `/v2/${this.#repo()}/blobs/uploads/`);
    if (begun.status !== 202) return this.#judge(begun, [202], []);
    const upload = { location: String(begun.headers.location), bytes, acknowledgedBytes: 0 };
    this.#acknowledged.uploads.push(upload);
    const parts = [bytes.subarray(0, 500), bytes.subarray(500, 500 + this.#random.below(bytes.length - 500))];
    for (const part of parts) {
      if (part.length === 0) continue;
      const answer = await patchUpload(this.#client, upload.location, part, upload.acknowledgedBytes);
      if (answer.status !== 202) return this.#judge(answer, [202], []);
      upload.acknowledgedBytes += part.length;
    }
    return 'done';
  }

  /** Reads something that is known, and compares. */
  async #read(): Promise<Outcome> {
    const repo = this.#repo();
    const path = `${repo}/manifests/${this.#tag(repo)}`;
    const expected = this.#acknowledged.valueOf(path);
    const answer = await this.#client.send('GET', `/v2/${path}`);
    const outcome = this.#judge(answer, [200, 404], []);
    if (outcome !== 'done' || expected === undefined) return outcome;
    const found = answer.status === 404 ? null : contentOf(answer.body).digest;
    if (found !== expected) this.tally.wrong.push(`${path} was read as ${found}, and is ${expected}`);
    return outcome;
  }

  async #outcome(
    work: () => Promise<Answer>,
    done: readonly number[],
    refused: readonly number[] = [],
  ): Promise<Outcome> {
    try {
      return this.#judge(await work(), done, refused);
    } catch (error) {
      if (error instanceof NoAnswer) return 'unknown';
      throw error;
    }
  }

  #judge(answer: Answer, done: readonly number[], refused: readonly number[]): Outcome {
    if (done.includes(answer.status)) return 'done';
    if (refused.includes(answer.status)) return 'refused';
    if (UNAVAILABLE.includes(answer.status) && answer.headers['retry-after'] !== undefined) return 'unknown';
    this.tally.wrong.push(
      `status ${answer.status}, not ${done.join(' or ')}: ${answer.body.toString().slice(0, 300)}`,
    );
    return 'unknown';
  }
}
