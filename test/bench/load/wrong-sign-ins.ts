import { Agent, request } from 'node:http';
import type { Origin } from './connection.ts';

/** Somebody who guesses passwords while others work. */
export interface WrongSignIns {
  perSecond: number;
  /** From so many addresses of this machine in turn (127.0.1.1 and on). */
  addresses: number;
}

const STEP_MS = 20;
const ADDRESSES_MAX = 254;

/** Sends guesses at a steady rate, whatever the answers, each with a name and a password of its own, until stopped. */
export function startWrongSignIns(origin: Origin, { perSecond, addresses }: WrongSignIns): () => void {
  if (addresses > ADDRESSES_MAX) throw new Error(`at most ${ADDRESSES_MAX} addresses`);
  const agents = Array.from(
    { length: addresses },
    (_, at) => new Agent({ keepAlive: true, maxSockets: 4, localAddress: `127.0.1.${at + 1}` }),
  );
  const salt = process.hrtime.bigint().toString(36);
  let sent = 0;
  let due = 0;
  const timer = setInterval(() => {
    due += (perSecond * STEP_MS) / 1000;
    for (; sent < due; sent += 1) guess(origin, agents[sent % agents.length], `${salt}-${sent}`);
  }, STEP_MS);
  return () => {
    clearInterval(timer);
    for (const agent of agents) agent.destroy();
  };
}

function guess({ host, port }: Origin, agent: Agent | undefined, text: string): void {
  const authorization = `Basic ${Buffer.from(`guess-${text}:guess-${text}`).toString('base64')}`;
  const place = { host, port, path: '/v2/', headers: { authorization } };
  const asked = request({ ...place, ...(agent === undefined ? {} : { agent }) }, (answer) => answer.resume());
  // Whether a guess is answered is the guesser's business; what is measured is what it does to others.
  asked.on('error', () => undefined);
  asked.end();
}
