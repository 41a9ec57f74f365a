import { buildInfo } from '#lib/build-info';

/**
 * The line of `--version`: one JSON log line with zot's fields, for scripts that read `distribution-spec`, `commit` or
 * `binary-type`. zot names its runtime in `go version`; here it is `node version`.
 */
export function versionLine(now: Date): string {
  const fields = {
    time: now.toISOString(),
    level: 'info',
    message: 'version',
    version: buildInfo.version,
    'distribution-spec': buildInfo.distributionSpec,
    commit: buildInfo.commit,
    'binary-type': buildInfo.binaryType,
    'node version': process.version,
  };
  return `${JSON.stringify(fields)}\n`;
}
