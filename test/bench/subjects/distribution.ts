import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { writeDistributionLayout } from '../fixtures/distribution-layout.ts';
import { repositoriesOf, type StoreName } from '../fixtures/stores.ts';
import { answering, freePort, launch, tailOf, terminate, type LogTarget } from './server-process.ts';
import type { Subject } from './subject.ts';

export const DISTRIBUTION_PROGRAM = '/usr/bin/docker-registry';

/** Whether Debian's package is installed. */
export function hasDistribution(): boolean {
  return existsSync(DISTRIBUTION_PROGRAM);
}

const REFUSED = new Map<StoreName, string>([
  ['referrers', 'it has no referrers API'],
  ['crowd', 'the store is made in the layout of ours alone'],
]);

/** Debian's docker-registry (CNCF distribution 2.8): it never fsyncs. Its descriptor cache in memory is on. */
export function distributionSubject({ label, log }: { label: string; log: LogTarget }): Subject {
  return {
    label,
    kind: 'distribution',
    durable: false,
    hasReferrers: false,
    refuses: (store) => REFUSED.get(store) ?? null,
    fill(store, root) {
      mkdirSync(root, { recursive: true });
      for (const repository of repositoriesOf(store)) {
        if (!repository.oursOnly) writeDistributionLayout(root, repository);
      }
    },
    async start(root) {
      const origin = { host: '127.0.0.1', port: await freePort() };
      writeFileSync(`${root}.config.yml`, configuration(root, origin.port));
      const logPath = `${root}.log`;
      const child = launch({ command: [DISTRIBUTION_PROGRAM, 'serve', `${root}.config.yml`], logPath, log });
      try {
        await answering(origin, '/v2/', child);
      } catch (error) {
        await terminate(child);
        const output = log === 'file' ? `\n${tailOf(logPath)}` : '';
        throw new Error(`${label} did not start${output}`, { cause: error });
      }
      return { origin, pid: child.pid ?? null, stop: () => terminate(child) };
    },
  };
}

/** One JSON line per request, as ours: the second, Apache-like line is switched off. */
function configuration(root: string, port: number): string {
  return `version: 0.1
log: {level: info, formatter: json, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: ${JSON.stringify(root)}}
  delete: {enabled: true}
  cache: {blobdescriptor: inmemory}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: "127.0.0.1:${port}", secret: bench}
`;
}
