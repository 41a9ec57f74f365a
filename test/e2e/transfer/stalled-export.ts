/** `zot export <config> --all --to <target>` that says "copying" at its first bytes, and then does nothing any more. */
import { openLog } from '#lib/logger';
import { Tally, exportLayouts, parseSelections } from '#transfer';
import { openTransferSide } from '../../../src/app.ts';
import { configOf } from '../../../src/cli/control.ts';

const [source = '', target = '', image] = process.argv.slice(2);
const stall = new Int32Array(new SharedArrayBuffer(4));
const tally = new Tally(() => {
  process.stdout.write('copying\n');
  // For ever: the test kills it.
  Atomics.wait(stall, 0, 0);
});
const config = configOf(source);
const { logger, audit } = openLog({ level: 'error', output: '', sink: process.stderr, audit: '' });
const side = await openTransferSide({ config, logger, audit, writes: false });
const selections = image === undefined ? 'all' : parseSelections([image]);
await exportLayouts(side, { selections, target, referrers: true }, tally);
