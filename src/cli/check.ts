import { checkStorage } from '../check/check-storage.ts';
import { JsonReport, TextReport, workDone } from '../check/report.ts';
import type { CommandIo } from './command.ts';

export interface CheckArguments {
  readonly folder: string;
  /** Print one JSON object instead of lines for people. */
  readonly json: boolean;
  /** Read every blob, too. */
  readonly deep: boolean;
}

/** A check that takes longer than this says from time to time how far it is. */
const PROGRESS_MS = 5000;

/** `zot check`: reads a storage folder and reports what is damaged in it. Gives 0 when nothing is, else 1. */
export async function checkCommand(args: CheckArguments, io: CommandIo): Promise<number> {
  const { folder, deep } = args;
  const report = args.json
    ? new JsonReport({ folder, deep })
    : new TextReport((text) => void io.stdout.write(text), deep);
  let saidMs = performance.now();
  const totals = await checkStorage({
    folder,
    deep,
    onFinding: (finding) => report.add(finding),
    onProgress: (done) => {
      if (performance.now() - saidMs < PROGRESS_MS) return;
      saidMs = performance.now();
      io.stderr.write(`looked at ${workDone(done)}\n`);
    },
  });
  io.stdout.write(report.end(totals));
  return report.count('damage') === 0 ? 0 : 1;
}
