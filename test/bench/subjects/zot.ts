import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TINY_CROWD, writeCrowd, type Crowd } from '../fixtures/crowd.ts';
import { writeOciLayout } from '../fixtures/oci-layout.ts';
import { repositoriesOf } from '../fixtures/stores.ts';
import { answering, freePort, launch, tailOf, terminate, type LogTarget } from './server-process.ts';
import { AUTHORIZATION, WITH_ACCESS, accessOf } from './access.ts';
import type { Subject } from './subject.ts';

const SOURCE_ENTRY = fileURLToPath(new URL('../../../src/bin/zot.ts', import.meta.url));
const COMPILE_CACHE = fileURLToPath(new URL('../../../.cache/compile', import.meta.url));

export interface ZotOptions {
  label: string;
  commit: boolean;
  log: LogTarget;
  /** A built executable; null runs the source. */
  executable: string | null;
  /** `http.workers`; null leaves the default, one per core. */
  workers: number | null;
  /** Write CPU profiles of all processes into this folder. */
  profileFolder: string | null;
  /** With a password file and a thousand policies. */
  access?: boolean;
  /** Settings of `storage` beside the folder. */
  storage?: object;
  /** How large the store of very many blobs is; absent where none is made. */
  crowd?: Crowd;
}

/** This registry, with one folder and no access rules, like the reference. */
export function zotSubject(options: ZotOptions): Subject {
  return {
    label: options.label,
    kind: 'zot',
    durable: options.commit,
    hasReferrers: true,
    ...(options.access === true
      ? { authorization: AUTHORIZATION }
      : {
          withAccess: () =>
            zotSubject({ ...options, label: `${options.label} ${WITH_ACCESS}`, access: true }),
        }),
    withStorage: (storage) => zotSubject({ ...options, storage }),
    refuses: () => null,
    fill(store, root) {
      if (store === 'crowd') writeCrowd(root, options.crowd ?? TINY_CROWD);
      for (const repository of repositoriesOf(store)) writeOciLayout(root, repository);
    },
    async start(root) {
      const origin = { host: '127.0.0.1', port: await freePort() };
      const configPath = `${root}.config.json`;
      const access = options.access === true ? accessOf(`${root}.htpasswd`) : {};
      writeFileSync(configPath, JSON.stringify(configuration(options, root, { port: origin.port, access })));
      const logPath = `${root}.log`;
      const child = launch({
        command: commandOf(options, configPath),
        logPath,
        log: options.log,
        environment: environmentOf(options),
      });
      try {
        await answering(origin, '/v2/', child);
      } catch (error) {
        await terminate(child);
        const log = options.log === 'file' ? `\n${tailOf(logPath)}` : '';
        throw new Error(`${options.label} did not start${log}`, { cause: error });
      }
      return { origin, pid: child.pid ?? null, stop: () => terminate(child) };
    },
  };
}

/** The command line of the server, without its configuration for other uses. */
export function commandOf(options: Pick<ZotOptions, 'executable'>, configPath: string): string[] {
  const entry = options.executable === null ? [process.execPath, SOURCE_ENTRY] : [options.executable];
  return [...entry, 'serve', configPath];
}

function configuration(
  { commit, workers, storage }: ZotOptions,
  root: string,
  { port, access }: { port: number; access: object },
): object {
  return {
    distSpecVersion: '1.1.1',
    storage: { rootDirectory: root, commit, ...storage },
    http: { address: '127.0.0.1', port: String(port), ...(workers === null ? {} : { workers }), ...access },
    log: { level: 'info' },
  };
}

/** From source it starts as `npm start` does, with compiled sources kept between starts. */
function environmentOf({ profileFolder, executable }: ZotOptions): Record<string, string> {
  const cache = executable === null ? { NODE_COMPILE_CACHE: COMPILE_CACHE } : {};
  if (profileFolder === null) return cache;
  return { ...cache, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileFolder} --cpu-prof-interval=500` };
}
