import { isCidr } from '#lib/cidr';
import type { Rule, RuleContext } from './rule-context.ts';

/** Checks of `http` except who may do what, and of the small sections. */

export const checkHttp: Rule = (context) => {
  const { config, report } = context;
  const { http } = config;
  const refuse = (name: string, message: string): void => report.error(['http', name], message);
  if (http.address === 'unix:') refuse('address', 'address "unix:" lacks the path of the socket file');
  if (http.workers < 1) refuse('workers', `invalid workers ${http.workers}: write a whole number from 1 on`);
  if (http.maxManifestSize < 1)
    refuse('maxManifestSize', 'maxManifestSize is 0: no manifest could be pushed; the usual value is "4MiB"');
  if (http.shutdownGrace < 0) refuse('shutdownGrace', 'shutdownGrace cannot be negative');
  if (http.idleTimeout < 0) refuse('idleTimeout', 'idleTimeout cannot be negative; 0 is no limit');
  for (const [index, range] of http.trustedProxies.entries()) {
    if (isCidr(range)) continue;
    report.error(
      ['http', 'trustedProxies', index],
      `invalid trustedProxies: "${range}" is no address range such as "10.0.0.0/8"`,
    );
  }
  for (const [index, word] of http.compat.entries()) {
    if (word !== 'docker2s2')
      report.warn(['http', 'compat', index], `compat "${word}" has no effect; known is "docker2s2"`);
  }
  checkExternalUrl(context);
  checkRates(context);
};

function checkExternalUrl({ config, report }: RuleContext): void {
  const { externalUrl } = config.http;
  if (externalUrl === '') return;
  const url = URL.parse(externalUrl);
  const isOrigin =
    url !== null && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '';
  if (isOrigin) return;
  report.warn(['http', 'externalUrl'], 'externalUrl is not an origin such as "https://registry.example.com"');
}

function checkRates({ config, report }: RuleContext): void {
  const { ratelimit, auth } = config.http;
  const path = ['http', 'ratelimit'];
  if ((ratelimit?.rate ?? 0) < 0) report.error([...path, 'rate'], 'rate cannot be negative');
  if ((ratelimit?.perUser ?? 0) < 0) report.error([...path, 'perUser'], 'perUser cannot be negative');
  if (auth.failDelay < 0) report.error(['http', 'auth', 'failDelay'], 'failDelay cannot be negative');
  checkMethodRates(ratelimit?.methods ?? [], report);
}

function checkMethodRates(
  methods: readonly { readonly method: string; readonly rate: number }[],
  report: RuleContext['report'],
): void {
  for (const [index, { method, rate }] of methods.entries()) {
    const path = ['http', 'ratelimit', 'methods', index];
    if (rate < 0) report.error([...path, 'rate'], 'rate cannot be negative');
    if (method === '') report.warn([...path, 'method'], 'method is empty, so this limit applies to nothing');
  }
}

/** With half a certificate zot serves plain HTTP without a word. */
export const checkTls: Rule = ({ config, report }) => {
  const { tls } = config.http;
  if (tls === undefined) return;
  const path = ['http', 'tls'];
  const missing = (name: string, other: string): string =>
    `"${name}" is missing beside "${other}": HTTPS needs both; remove "tls" to serve plain HTTP`;
  if (tls.cert !== '' && tls.key === '') report.error([...path, 'key'], missing('key', 'cert'));
  if (tls.key !== '' && tls.cert === '') report.error([...path, 'cert'], missing('cert', 'key'));
  if (tls.cert !== '' || tls.key !== '') return;
  if (tls.cacert !== '') report.error([...path, 'cert'], 'client certificates need "cert" and "key", too');
  else report.warn(path, 'tls has neither "cert" nor "key": plain HTTP is served');
};

export const checkClientAuth: Rule = ({ config, report }) => {
  const { clientAuth = '', cacert = '' } = config.http.tls ?? {};
  if (clientAuth === '') return;
  const path = ['http', 'tls', 'clientAuth'];
  if (clientAuth !== 'require') {
    report.error(path, 'the only value of clientAuth is "require"; leave it out otherwise');
  } else if (cacert === '') {
    report.error(path, 'clientAuth needs "cacert": whose certificates are accepted');
  }
};

export const checkScheduler: Rule = ({ config, report }) => {
  if (config.scheduler.numWorkers >= 0) return;
  report.error(['scheduler', 'numWorkers'], 'numWorkers cannot be negative; 0 is four for each core');
};

const hashKeyBytes = 16;

export const checkCluster: Rule = ({ config, report }) => {
  const { cluster } = config;
  if (cluster === undefined) return;
  if (cluster.members.length === 0) {
    report.error(['cluster', 'members'], 'cannot have 0 members in a scale out cluster');
  }
  if (Buffer.byteLength(cluster.hashKey) !== hashKeyBytes) {
    report.error(
      ['cluster', 'hashKey'],
      `hashKey for scale out cluster must have ${hashKeyBytes} characters`,
    );
  }
};
