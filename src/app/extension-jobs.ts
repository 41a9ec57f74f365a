import { isDeepStrictEqual } from 'node:util';
import type { Config } from '#config';
import { scrubJobs } from '#control';
import type { ControlHost } from '#control';
import { extensions } from '#extensions';
import type { Job } from '#tasks';

/** The background work of extensions, as the configuration in force asks for it. */
export class ExtensionJobs {
  #host: ControlHost;
  #names: readonly string[] = [];

  constructor(host: ControlHost) {
    this.#host = host;
  }

  start(): void {
    const jobs = this.#jobs();
    for (const job of jobs) this.#host.scheduler.add(job);
    this.#names = jobs.map(({ name }) => name);
  }

  /** Puts a changed configuration in force, after the core has; what is under way ends and goes on in its new way. */
  async change(before: Config): Promise<void> {
    if (isDeepStrictEqual(before.extensions, this.#host.config.extensions)) return;
    for (const name of this.#names) await this.#host.scheduler.remove(name);
    this.start();
  }

  #jobs(): Job[] {
    const host = this.#host;
    return extensions.flatMap(
      ({ jobs }) => jobs?.({ config: host.config, scrubJobs: (settings) => scrubJobs(host, settings) }) ?? [],
    );
  }
}
