import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startProcess } from './process.ts';

export interface PeerRegistry {
  readonly url: string;
  readonly host: string;
  /** Its storage folder, which ends with it. */
  readonly storage: string;
  stop(): Promise<void>;
}

const configFor = (root: string): string => `
version: 0.1
log: { level: info }
storage:
  filesystem: { rootdirectory: ${root} }
  delete: { enabled: true }
http: { addr: '127.0.0.1:0' }
`;

/**
 * Starts Debian's docker-registry on a free port: the second opinion against which a suite is tried,
 * so that a failure of ours can be told from a mistake of the suite.
 */
export async function startDockerRegistry(): Promise<PeerRegistry> {
  const folder = await mkdtemp(path.join(tmpdir(), 'docker-registry-'));
  const configFile = path.join(folder, 'config.yml');
  await writeFile(configFile, configFor(path.join(folder, 'data')));
  const running = startProcess({
    command: ['docker-registry', 'serve', configFile],
    cwd: folder,
    // Without this the registry would try to export traces to a collector.
    env: { OTEL_TRACES_EXPORTER: 'none' },
  });
  const host = await running.waitForLine(
    (line) => /listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1] ?? null,
    10_000,
  );
  return {
    url: `http://${host}`,
    host,
    storage: path.join(folder, 'data'),
    async stop() {
      await running.stop(10_000);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
