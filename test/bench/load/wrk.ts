/** wrk as the client of GET turns: it costs far less CPU than a client in JavaScript and is known to everybody. */
import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Outcome, Plan, RequestsPlan } from './plan.ts';

const WRK = '/usr/bin/wrk';

/** Whether wrk is installed. */
export function hasWrk(): boolean {
  return existsSync(WRK);
}

/** wrk sends GET only in the form that is needed here, and measures by time and not by number. */
export function suitsWrk(plan: Plan): plan is RequestsPlan {
  return plan.kind === 'requests' && plan.method === 'GET' && plan.limit.opsMax === Number.POSITIVE_INFINITY;
}

/** Runs the plan with one thread of wrk. Of the latencies only a hundred quantiles are known: enough for p99. */
export async function runWrk(plan: RequestsPlan, workFolder: string): Promise<Outcome> {
  const script = join(workFolder, 'wrk.lua');
  writeFileSync(script, scriptOf(plan));
  const seconds = Math.max(1, Math.round(plan.limit.durationMs / 1000));
  const url = `http://${plan.origin.host}:${plan.origin.port}`;
  const args = ['-t1', `-c${plan.clients}`, `-d${seconds}s`, '--timeout', '60s', '-s', script, url];
  const { stdout } = await promisify(execFile)(WRK, args, { timeout: (seconds + 90) * 1000 });
  const line = stdout.split('\n').find((text) => text.startsWith('RESULT '));
  if (line === undefined) throw new Error(`wrk gave no result:\n${stdout}`);
  const numbers = line.split(' ').slice(1).map(Number);
  const [ops = 0, bytes = 0, elapsedUs = 0, failures = 0, ...quantilesUs] = numbers;
  return {
    ops,
    bytes,
    elapsedMs: elapsedUs / 1000,
    latenciesMs: Float64Array.from(quantilesUs, (us) => us / 1000),
    failures,
    firstFailure: failures === 0 ? null : 'wrk counted socket errors or answers of status 400 and above',
    clientCpuSeconds: null,
  };
}

/** Bytes include headers here, which is why small bodies look larger than with the built-in client. */
function scriptOf({ paths, accept, authorization }: RequestsPlan): string {
  const line = (name: string, value: string | null | undefined): string =>
    value == null ? '' : `wrk.headers["${name}"] = ${JSON.stringify(value)}\n`;
  const headers = line('Accept', accept) + line('Authorization', authorization);
  return `${headers}local paths = {${paths.map((path) => JSON.stringify(path)).join(',')}}
local requests, next = {}, 0
function init() for i, path in ipairs(paths) do requests[i] = wrk.format("GET", path) end end
function request() next = next % #requests + 1; return requests[next] end
function done(summary, latency)
  local e = summary.errors
  io.write("RESULT ", summary.requests, " ", summary.bytes, " ", summary.duration, " ")
  io.write(e.connect + e.read + e.write + e.status + e.timeout)
  for p = 0.5, 99.5 do io.write(" ", latency:percentile(p)) end
  io.write("\\n")
end
`;
}
