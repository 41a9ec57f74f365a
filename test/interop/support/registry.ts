import process from 'node:process';
import { startDockerRegistry } from '../../support/docker-registry.ts';
import { startServer } from '../../support/server.ts';

export interface Registry {
  /** For example `http://127.0.0.1:40001`. */
  readonly url: string;
  /** `127.0.0.1:port`, as clients write it. */
  readonly host: string;
  /** Our storage folder; an error for a registry that is not ours. */
  readonly root: string;
  stop(): Promise<void>;
}

const peerUrl = process.env['ZOT_TEST_URL'] ?? '';
const isPeer = process.env['ZOT_TEST_PEER'] === 'docker-registry';

/**
 * For the `skip` option of a test of what only we have (referrers, deleting tags, the layout on disk).
 * With `ZOT_TEST_PEER=docker-registry` or `ZOT_TEST_URL` the suites run against another registry, to judge the suites.
 */
export const onlyOurs: string | false =
  isPeer || peerUrl !== '' ? 'the registry under test is not ours' : false;

/** Starts the registry that a suite talks to: ours, unless the environment names another. */
export async function openRegistry(config: Record<string, unknown> = {}): Promise<Registry> {
  if (peerUrl !== '') return foreign({ url: peerUrl, host: new URL(peerUrl).host, stop: async () => {} });
  if (isPeer) return foreign(await startDockerRegistry());
  const server = await startServer({ config });
  return {
    url: server.url,
    host: server.host,
    root: server.root,
    async stop() {
      const exitCode = await server.stop();
      if (exitCode !== 0)
        throw new Error(`the server ended with exit code ${exitCode}\n${server.stdout().slice(-4000)}`);
    },
  };
}

function foreign(peer: Omit<Registry, 'root'>): Registry {
  return {
    ...peer,
    get root(): string {
      throw new Error('only our registry has a storage folder that tests may open');
    },
  };
}
