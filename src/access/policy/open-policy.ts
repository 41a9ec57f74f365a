import type { Config } from '#config';
import type { Logger } from '#lib/logger';
import { StartError } from '#lib/start-error';
import type { AccessControl, ConditionCompiler } from './compiled.ts';
import type { TieReport } from './pattern-index.ts';
import { Policy } from './policy.ts';

/** A condition that cannot be evaluated is told to the log this often at most. */
const REPORT_MS = 60_000;
const REPORTED_MAX = 1000;

/** Compiles the access control of a configuration; `null` where it has none. Throws `StartError`. */
export async function openPolicy(config: Config, logger: Logger): Promise<Policy | null> {
  const { accessControl } = config.http;
  if (accessControl === undefined) return null;
  const compile = await conditionCompiler(accessControl);
  try {
    return new Policy({ accessControl, compile, report: reporter(logger), reportTie: tieReporter(logger) });
  } catch (error) {
    if (error instanceof StartError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new StartError(`http.accessControl: ${message}`, { cause: error });
  }
}

/** CEL is loaded where something is written in it only. */
export async function conditionCompiler(accessControl: AccessControl): Promise<ConditionCompiler> {
  const policies = Object.values(accessControl.repositories).flatMap((entry) => entry.policies);
  const used = [...policies, accessControl.adminPolicy].some(
    (policy) => (policy?.conditions.length ?? 0) > 0,
  );
  if (!used) return neverCalled;
  const { compileCondition } = await import('./conditions.ts');
  return (expression, message) => {
    try {
      return compileCondition(expression, message);
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      throw new StartError(`http.accessControl: the condition ${JSON.stringify(expression)}: ${fault}`, {
        cause: error,
      });
    }
  };
}

function neverCalled(): never {
  throw new Error('a condition is compiled, though there is none');
}

function tieReporter(logger: Logger): TieReport {
  const reported = new Set<string>();
  return (repository, decides, other) => {
    const key = `${decides} ${other}`;
    if (reported.has(key) || reported.size >= REPORTED_MAX) return;
    reported.add(key);
    const message = 'two patterns of access control are equally long and match: the first decides alone';
    logger.warn({ component: 'access', repository, patterns: [decides, other] }, message);
  };
}

function reporter(logger: Logger): (place: string, expression: string, error: string) => void {
  const reportedMs = new Map<string, number>();
  return (place, expression, error) => {
    const key = `${place} ${expression}`;
    const nowMs = performance.now();
    if (nowMs - (reportedMs.get(key) ?? -REPORT_MS) < REPORT_MS) return;
    if (reportedMs.size >= REPORTED_MAX) reportedMs.clear();
    reportedMs.set(key, nowMs);
    logger.warn({ component: 'access', place, expression, error }, 'a condition has no value and denies');
  };
}
