import { OWN_FOLDER } from '#storage';
import type { Store } from '#storage';

const SIZE_BYTES_MAX = 16 * 1024;

/**
 * What background work notes of a store for the next start. It is kept in the store that it is about, so that it goes
 * where the store goes.
 */
export class StoreNote {
  readonly #path: string;
  readonly #stagingPath: string;

  /** `name`: `scrub` for `scrub.json`. */
  constructor(name: string) {
    this.#path = `${OWN_FOLDER}/${name}.json`;
    this.#stagingPath = `${OWN_FOLDER}/.stage-${name}`;
  }

  /** The members of what was noted, which anybody may have edited; `null` when there is nothing that can be read. */
  async read({ driver }: Store): Promise<Readonly<Record<string, unknown>> | null> {
    const bytes = await driver.read(this.#path, SIZE_BYTES_MAX);
    if (bytes === null) return null;
    try {
      const value: unknown = JSON.parse(bytes.toString());
      return typeof value === 'object' && value !== null ? { ...value } : null;
    } catch {
      // Torn by a power cut, or edited: as if it were not there.
      return null;
    }
  }

  /** `durable`: it must outlive a power cut. */
  async write({ driver }: Store, value: object, durable: boolean): Promise<void> {
    await driver.delete(this.#stagingPath, { durable: false });
    const bytes = Buffer.from(JSON.stringify(value));
    await driver.put(this.#path, [bytes], { durable, stagingPath: this.#stagingPath });
  }
}
