/** The worker thread that hashes passwords: one at a time, at a low priority, so that requests go before. */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { verifyPassword } from './stored-password.ts';

export interface HashingOrder {
  readonly password: string;
  readonly stored: string;
}

const NICENESS = 5;

// On Linux this is the priority of the thread alone; elsewhere it would be that of the whole process.
if (process.platform === 'linux') setPriority(NICENESS);

parentPort?.on('message', ({ password, stored }: HashingOrder) => {
  parentPort?.postMessage(verifyPassword(password, stored));
});
