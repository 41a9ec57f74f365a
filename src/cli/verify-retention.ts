import type { Config } from '#config';
import { openLog } from '#lib/logger';
import type { Logger } from '#lib/logger';
import type { RepoName } from '#oci/repo-name';
import type { PreviewReport, PreviewedManifest, PreviewedTag } from '#tasks';
import { UNTAGGED_REASON, logDangling, logTag, logUntagged } from '../tasks/retention/retention-log.ts';
import type { CommandIo } from './command.ts';
import { configOf, refusing, runControl } from './control.ts';
import { storesOf } from './retention.ts';

export interface VerifyRetentionArguments {
  readonly target: string;
  /** Where the lines go; '': stdout. */
  readonly logFile: string;
}

const NEEDS_GC = 'invalid server config: verify-feature retention requires GC to be enabled';

/**
 * `zot verify-feature retention`: a dry run of the policies, as zot's lines of the log, one for each tag. It ends when
 * all tags are judged. Exit code 1 where collection, and so retention, is off.
 */
export function verifyRetentionCommand(args: VerifyRetentionArguments, io: CommandIo): Promise<number> {
  const { target, logFile } = args;
  return refusing(io, async () => {
    if (!configOf(target).storage.gc) {
      io.stderr.write(`Error: ${NEEDS_GC}\n`);
      return 1;
    }
    const sink = logFile === '' ? { sink: io.stdout } : {};
    const log = openLog({ level: 'info', output: logFile, ...sink });
    try {
      const exitCode = await preview(target, new LogPrinter(log.logger), io);
      if (exitCode === 0) log.logger.info('retention check completed successfully');
      return exitCode;
    } finally {
      await log.flush();
    }
  });
}

function preview(target: string, printer: LogPrinter, io: CommandIo): Promise<number> {
  const part = (report: unknown): string => {
    printer.part(report as PreviewReport);
    return '';
  };
  return runControl(
    {
      target,
      command: 'retention.preview',
      args: (config: Config) => ({ stores: storesOf(config), all: true }),
      json: false,
      printPart: part,
      render: () => '',
    },
    io,
  );
}

class LogPrinter {
  readonly #logger: Logger;
  #repo: RepoName | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  part(report: PreviewReport): void {
    if (report.kind === 'repository') this.#repo = report.repository;
    else if (report.kind === 'tags') for (const tag of report.tags) this.#log(tag);
    else for (const manifest of report.manifests) this.#logUntagged(manifest);
  }

  #log(previewed: PreviewedTag): void {
    if (this.#repo === null) return;
    const decisions = { logger: this.#logger, repo: this.#repo, dryRun: true };
    const facts = { ...previewed, name: previewed.tag };
    if (previewed.decision === 'delete' && previewed.keptBy.length > 0) logDangling(decisions, facts);
    else logTag(decisions, facts, previewed);
  }

  /** As in a round: a line where rules were asked. */
  #logUntagged(previewed: PreviewedManifest): void {
    const [rule = null] = previewed.keptBy;
    if (this.#repo === null || (rule === null && previewed.reason !== UNTAGGED_REASON)) return;
    const { digest: name, pushedMs, pulledMs } = previewed;
    logUntagged({ logger: this.#logger, repo: this.#repo, dryRun: true }, { name, pushedMs, pulledMs }, rule);
  }
}
