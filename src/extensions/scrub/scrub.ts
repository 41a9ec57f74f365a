import type { Extension } from '#extension';

/** Reads all stored bytes from time to time (`extensions.scrub`); the work itself is the core's, as `zot scrub`. */
export const scrub: Extension = {
  name: 'scrub',
  start: () => undefined,
  jobs({ config, scrubJobs }) {
    const settings = config.extensions?.scrub;
    if (settings?.enable !== true) return [];
    return scrubJobs({ intervalMs: settings.interval, bytesPerSecond: settings.rate });
  },
};
