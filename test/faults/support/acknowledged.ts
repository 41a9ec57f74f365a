import { contentOf } from './images.ts';
import type { Answer, RegistryClient } from './registry-client.ts';
import { finishUpload, patchUpload } from './pushing.ts';

/** How an operation ended, as its client knows. `unknown`: it may have been carried out, or may not. */
export type Outcome = 'done' | 'refused' | 'unknown';

/** A thing that operations change: its path below /v2/, and the values that it may have (`null`: absent). */
interface Thing {
  readonly path: string;
  possible: readonly (string | null)[];
  /** Changed or doubtful since it was last looked at. */
  fresh: boolean;
}

/** An upload that was begun and left open. */
interface OpenUpload {
  readonly location: string;
  readonly bytes: Buffer;
  /** Bytes that the registry said it has. */
  acknowledgedBytes: number;
}

const OLD_LOOKED_AT_MAX = 40;

/**
 * What clients were told, and so what must be true after a crash. Each thing is changed by one client at a time, so
 * that what it may be is known exactly; a thing whose last change nobody knows the outcome of is left alone until
 * it was looked at again.
 */
export class Acknowledged {
  readonly uploads: OpenUpload[] = [];
  #things = new Map<string, Thing>();

  /** The value of a thing, `undefined` while it is in doubt. Things begin as absent. */
  valueOf(path: string): string | null | undefined {
    const possible = this.#things.get(path)?.possible ?? [null];
    return possible.length === 1 ? possible[0] : undefined;
  }

  /** Whether a thing that is in doubt, and whose path begins so, may have a value. */
  mayBe(prefix: string, value: string): boolean {
    return [...this.#things.values()].some(
      ({ path, possible }) => possible.length > 1 && path.startsWith(prefix) && possible.includes(value),
    );
  }

  /** Carries out an operation that gives new values to things, and remembers what may be true afterwards. */
  async change(changes: ReadonlyMap<string, string | null>, work: () => Promise<Outcome>): Promise<Outcome> {
    const things = [...changes].map(([path, value]) => ({ thing: this.#thing(path), value }));
    const before = things.map(({ thing }) => thing.possible);
    for (const { thing, value } of things) {
      thing.possible = [...new Set([...thing.possible, value])];
      thing.fresh = true;
    }
    const outcome = await work();
    for (const [at, { thing, value }] of things.entries()) {
      if (outcome === 'done') thing.possible = [value];
      if (outcome === 'refused') thing.possible = before[at] ?? [null];
    }
    return outcome;
  }

  /** Looks at everything that changed since the last time, and at some that did not; gives what is wrong. */
  async verify(client: RegistryClient): Promise<string[]> {
    const fresh = [...this.#things.values()].filter((thing) => thing.fresh);
    const old = [...this.#things.values()].filter((thing) => !thing.fresh).slice(-OLD_LOOKED_AT_MAX);
    const faults: string[] = [];
    for (const thing of [...fresh, ...old]) {
      const found = await look(client, thing.path);
      if (!thing.possible.includes(found)) {
        faults.push(`${thing.path} is ${found}, and may be ${thing.possible.join(' or ')}`);
      }
      thing.possible = [found];
      thing.fresh = false;
    }
    for (const upload of this.uploads.splice(0)) faults.push(...(await resume(client, upload)));
    return faults;
  }

  /** Everything that must be there, by path. */
  present(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const { path, possible } of this.#things.values()) {
      const [only] = possible;
      if (possible.length === 1 && typeof only === 'string') found.set(path, only);
    }
    return found;
  }

  #thing(path: string): Thing {
    const known = this.#things.get(path);
    if (known !== undefined) return known;
    const thing: Thing = { path, possible: [null], fresh: true };
    this.#things.set(path, thing);
    return thing;
  }
}

/** The digest of what stands at a path, `null` when nothing does; a text that no digest is for anything else. */
async function look(client: RegistryClient, path: string): Promise<string | null> {
  const answer = await client.send('GET', `/v2/${path}`);
  if (answer.status === 404) return null;
  if (answer.status !== 200) return `answered with ${answer.status} ${answer.body.toString().slice(0, 200)}`;
  const { digest } = contentOf(answer.body);
  const named = answer.headers['docker-content-digest'];
  return named === digest ? digest : `bytes of ${digest} under the name ${String(named)}`;
}

/** Resumes an upload where the registry says that it is, as a client does after a crash. */
async function resume(client: RegistryClient, upload: OpenUpload): Promise<string[]> {
  const { location, bytes, acknowledgedBytes } = upload;
  const status = await client.send('GET', location);
  if (status.status !== 204) return [`the upload ${location} is answered with ${status.status}`];
  const has = sizeOf(status);
  if (has < acknowledgedBytes || has > bytes.length) {
    return [`the upload ${location} has ${has} bytes, but ${acknowledgedBytes} were acknowledged`];
  }
  let last: Answer = status;
  if (has < bytes.length) last = await patchUpload(client, location, bytes.subarray(has), has);
  if (last.status >= 300) return [`the upload ${location} cannot be resumed at ${has}: ${last.status}`];
  const finished = await finishUpload(client, last, contentOf(bytes).digest);
  return finished.status === 201
    ? []
    : [`the upload ${location} cannot be finished: ${finished.body.toString()}`];
}

/** The bytes that an upload has by its Range header; `0-0` is one byte or none, and none is always right to assume. */
function sizeOf(status: Answer): number {
  const last = Number(/^0-(\d+)$/.exec(String(status.headers.range))?.[1] ?? -1);
  return last === 0 ? 0 : last + 1;
}
