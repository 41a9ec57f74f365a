import { answering } from './server-process.ts';
import type { Subject } from './subject.ts';

/** A registry that runs already. Its stores cannot be made on disk, so only scenarios that push what they need run. */
export function urlSubject(url: URL, pid: number | null): Subject {
  if (url.protocol !== 'http:') throw new Error(`--against ${url.href}: only http:// URLs can be measured`);
  const origin = { host: url.hostname, port: Number(url.port || 80) };
  return {
    label: url.host,
    kind: 'url',
    durable: null,
    hasReferrers: false,
    refuses: (store) => (store === 'empty' ? null : 'its store cannot be made on disk'),
    fill: () => undefined,
    async start() {
      await answering(origin, '/v2/', null);
      return { origin, pid, stop: async () => undefined };
    },
  };
}
