import { posix } from 'node:path';
import { isHollow } from '../normalise.ts';
import { givenAt, listStores, type Rule, type RuleContext } from './rule-context.ts';

/** Checks of `extensions`, except `sync`. */

const path = ['extensions'];

export const checkRedundant: Rule = ({ config, report }) => {
  const { mgmt, apikey } = config.extensions;
  if (mgmt !== undefined) {
    const message = 'mgmt extensions configuration option has been made redundant and will be ignored.';
    report.warn([...path, 'mgmt'], `${message} It is on wherever "search" is`);
  }
  if (apikey !== undefined) {
    const message =
      'apikey extension configuration will be ignored as API keys are now configurable in the HTTP settings.';
    report.warn([...path, 'apikey'], `${message} Use "http.auth.apikey"`);
  }
};

export const checkMetricsPath: Rule = ({ config, report }) => {
  const written = config.extensions.metrics?.prometheus.path;
  if (written === undefined) return;
  const fault = metricsPathFault(written);
  if (fault !== null) report.error([...path, 'metrics', 'prometheus', 'path'], `${fault}: "${written}"`);
};

function metricsPathFault(written: string): string | null {
  const clean = posix.normalize(written).replace(/(?<=.)\/$/, '');
  if (written !== clean) return 'invalid metrics path';
  if (!written.startsWith('/')) return 'metrics path must start with /';
  return written === '/' || written === '/v2' ? 'provided metrics path is disallowed' : null;
}

export const checkUi: Rule = ({ config, report }) => {
  const { ui, search } = config.extensions;
  if (ui?.enable !== true || search?.enable === true) return;
  report.error([...path, 'ui'], 'failed to enable ui, search extension must be enabled');
};

export const checkScanning: Rule = ({ config, report }) => {
  const { search } = config.extensions;
  if (search?.enable !== true || search.cve === undefined) return;
  if (listStores(config).every(({ store }) => store.storageDriver === undefined)) return;
  const message =
    'failed to enable cve scanning due to incompatibility with remote storage, please disable cve';
  report.error([...path, 'search', 'cve'], message);
};

const sbomFormats = new Set(['spdx-json', 'cyclonedx']);

export const checkSbom: Rule = ({ config, report }) => {
  const sbom = config.extensions.search?.cve?.trivy.sbom;
  if (sbom === undefined || sbomFormats.has(sbom.format.toLowerCase())) return;
  report.warn(
    [...path, 'search', 'cve', 'trivy', 'sbom', 'format'],
    `SBOM format "${sbom.format}" is not known: "spdx-json" is used; the other is "cyclonedx"`,
  );
};

export const checkSinks: Rule = ({ config, report }) => {
  const { events } = config.extensions;
  for (const [index, sink] of (events?.sinks ?? []).entries()) {
    if (sink.address !== '') continue;
    const at = [...path, 'events', 'sinks', index, 'address'];
    if (events?.enable === true) report.error(at, 'event sink address is missing: nobody would be told');
    else report.warn(at, 'event sink address is missing');
  }
};

/** What zot switches off by dropping an empty object beside others, and we do not. */
export const warnOfEmptyExtensions: Rule = (context) => {
  const given = givenAt(context, path);
  if (!isHollow(given)) {
    for (const name of ['metrics', 'search', 'scrub', 'trust', 'ui']) warnOfEmpty(context, name);
  }
  if (isHollow(givenAt(context, [...path, 'search', 'cve']))) {
    const message = '"cve" is empty, which switches scanning on. zot ignores an empty object here';
    context.report.warn([...path, 'search', 'cve'], message);
  }
};

function warnOfEmpty(context: RuleContext, name: string): void {
  if (!isHollow(givenAt(context, [...path, name]))) return;
  const message = `"${name}" is empty, which switches it on. zot ignores an empty object beside others; write "enable"`;
  context.report.warn([...path, name], message);
}
