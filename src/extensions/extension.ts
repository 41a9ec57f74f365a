/** What an extension is, and what the core offers it. The lists of the builds are `full.ts` and `minimal.ts`. */
import type { Config } from '#config';
import type { DiscoveredExtension, Route } from '#http';
import type { BuildInfo } from '#lib/build-info';
import type { Hooks } from '#registry';
import type { Job } from '#tasks';

export interface ExtensionHost {
  readonly config: Config;
  /** Moments of the registry's operations that the extension may join. */
  readonly hooks: Hooks;
  readonly buildInfo: BuildInfo;
  /** Routes that the extension adds. */
  readonly routes: Route[];
  /** What `/v2/_oci/ext/discover` lists. */
  readonly discovered: DiscoveredExtension[];
}

/** What the core offers for background work, in the process that owns the storage folder. */
export interface JobHost {
  readonly config: Config;
  /** Jobs that read all stored bytes, one for each store. */
  readonly scrubJobs: (settings: { readonly intervalMs: number; readonly bytesPerSecond: number }) => Job[];
}

export interface Extension {
  /** As in zot's binary type, for example `mgmt`. */
  readonly name: string;
  /** Adds what the configuration asks for; nothing when it does not ask. */
  start(host: ExtensionHost): void;
  /** Background work that the configuration asks for; asked again when the configuration changes. */
  readonly jobs?: (host: JobHost) => Job[];
}
