import type { Path } from '../problems.ts';
import type { Rule, RuleContext } from './rule-context.ts';
import type { ConfigDraft } from '../schema/schema.ts';

/** Checks of `http.auth.bearer`: zot switches an incomplete one off without a word, and is then open. */

type Bearer = NonNullable<ConfigDraft['http']['auth']['bearer']>;

const path = ['http', 'auth', 'bearer'];

export const checkBearer: Rule = (context) => {
  const { bearer } = context.config.http.auth;
  if (bearer === undefined) return;
  checkKeySource(context, bearer);
  checkCompleteness(context, bearer);
  checkUpstream(context, bearer);
  for (const [index, entry] of bearer.oidc.entries()) checkIssuer(context, entry, [...path, 'oidc', index]);
};

const SECOND_MS = 1000;
const DAY_MS = 24 * 3600 * SECOND_MS;

/** Our own tokens: the keys that sign them are used for a day. */
export const checkTokens: Rule = ({ config, report }) => {
  const { token } = config.http.auth;
  if (token === undefined || (token.lifetime >= SECOND_MS && token.lifetime <= DAY_MS)) return;
  report.error(['http', 'auth', 'token', 'lifetime'], 'the lifetime of tokens must be between 1s and 24h');
};

function checkKeySource({ report }: RuleContext, { cert, awsSecretsManager: aws }: Bearer): void {
  if (aws === undefined) return;
  const at = [...path, 'awsSecretsManager'];
  if (cert !== '')
    report.error(at, 'cannot configure both cert and awsSecretsManager for bearer authentication');
  if (aws.region === '') report.error([...at, 'region'], 'awsSecretsManager region must be specified');
  if (aws.secretName === '')
    report.error([...at, 'secretName'], 'awsSecretsManager secretName must be specified');
  if (aws.refreshInterval < 0) {
    report.error([...at, 'refreshInterval'], 'awsSecretsManager refreshInterval must be non-negative');
  }
}

function checkCompleteness({ report }: RuleContext, bearer: Bearer): void {
  const hasKey = bearer.cert !== '' || bearer.awsSecretsManager !== undefined;
  // Beside issuers a realm and a service without a key only say where clients get tokens.
  if (!hasKey && bearer.oidc.length > 0) return;
  const parts = [
    ['realm', bearer.realm !== ''],
    ['service', bearer.service !== ''],
    ['cert', hasKey],
  ] as const;
  for (const [name, isThere] of parts) {
    if (isThere) continue;
    const needed = 'tokens need "realm", "service" and "cert" (or "awsSecretsManager"), or "oidc" alone';
    report.error(
      [...path, name],
      `bearer ${name} is missing: ${needed}; without it nobody would have to sign in`,
    );
  }
}

function checkUpstream({ report }: RuleContext, { upstreamTokenEndpoint: upstream }: Bearer): void {
  if (upstream === undefined) return;
  const at = [...path, 'upstreamTokenEndpoint'];
  if (upstream.realm === '' || upstream.service === '') {
    const message =
      'upstreamTokenEndpoint.realm and upstreamTokenEndpoint.service must be configured together';
    report.error(at, message);
    return;
  }
  const url = URL.parse(upstream.realm);
  if (url === null || url.host === '') {
    report.error([...at, 'realm'], 'upstreamTokenEndpoint.realm must be an absolute URL');
  } else if (url.protocol === 'http:' && upstream.allowInsecureHttp) {
    report.warn(
      [...at, 'realm'],
      'upstreamTokenEndpoint.realm uses http: tokens and passwords travel unencrypted',
    );
  } else if (url.protocol !== 'https:') {
    const message =
      'upstreamTokenEndpoint.realm must use https unless upstreamTokenEndpoint.allowInsecureHttp is true';
    report.error([...at, 'realm'], message);
  }
}

function checkIssuer(
  { report, checkExpression }: RuleContext,
  entry: Bearer['oidc'][number],
  at: Path,
): void {
  if (entry.issuer === '')
    report.error([...at, 'issuer'], 'issuer is missing: name whose tokens are accepted');
  if (entry.audiences.length === 0 || entry.audiences.includes('')) {
    report.error([...at, 'audiences'], 'audiences is missing: name at least one, none of them empty');
  }
  if (entry.certificateAuthority !== '' && entry.certificateAuthorityFile !== '') {
    report.error(at, 'give "certificateAuthority" or "certificateAuthorityFile", not both');
  }
  const { claimMapping: mapping } = entry;
  if (mapping === undefined || checkExpression === undefined) return;
  const mapped = [...at, 'claimMapping'];
  const expressions: [Path, string][] = [
    ...mapping.variables.map((item, n): [Path, string] => [[...mapped, 'variables', n], item.expression]),
    ...mapping.validations.map((item, n): [Path, string] => [[...mapped, 'validations', n], item.expression]),
    [[...mapped, 'username'], mapping.username],
    [[...mapped, 'groups'], mapping.groups],
  ];
  for (const [place, expression] of expressions) {
    const fault = expression === '' ? null : checkExpression(expression, ['claims', 'vars']);
    if (fault !== null) report.error(place, `the CEL expression cannot be compiled: ${fault}`);
  }
}
