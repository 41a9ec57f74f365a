/** What an extension is, and what the core offers it. The lists of the builds are `full.ts` and `minimal.ts`. */
import type { Config } from '#config';
import type { DiscoveredExtension, Route } from '#http';
import type { BuildInfo } from '#lib/build-info';
import type { Hooks } from '#registry';

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

export interface Extension {
  /** As in zot's binary type, for example `mgmt`. */
  readonly name: string;
  /** Adds what the configuration asks for; nothing when it does not ask. */
  start(host: ExtensionHost): void;
}
