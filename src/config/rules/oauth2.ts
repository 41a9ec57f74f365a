import { isPlainObject } from '../normalise.ts';
import type { Path } from '../problems.ts';
import { givenAt, type RuleContext } from './rule-context.ts';
import type { ConfigDraft } from '../schema/schema.ts';
import { shapeOf } from '../schema/walk.ts';
import { oauth2CredentialHelper } from '../schema/sync.ts';

/** Checks of where a registry's credentials come from. */

type SyncRegistry = NonNullable<ConfigDraft['extensions']['sync']>['registries'][number];
type OAuth2Helper = NonNullable<SyncRegistry['oauth2CredentialHelper']>;

const helpers = new Set(['', 'ecr', 'gcp', 'oauth2']);
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

export function checkCredentialHelper(context: RuleContext, registry: SyncRegistry, at: Path): void {
  const { report } = context;
  const { credentialHelper, oauth2CredentialHelper: helper } = registry;
  if (!helpers.has(credentialHelper)) {
    const message = `credentialHelper "${credentialHelper}" is not known: nobody signs in`;
    report.warn([...at, 'credentialHelper'], `${message}; known are ecr, gcp and oauth2`);
  }
  if (credentialHelper !== 'oauth2') return;
  const place = [...at, 'oauth2CredentialHelper'];
  const refuse = (name: string | null, message: string): void => {
    report.error(
      name === null ? place : [...place, name],
      `invalid oauth2CredentialHelper config: ${message}`,
    );
  };
  if (helper === undefined) {
    refuse(null, 'the helper "oauth2" needs "oauth2CredentialHelper" with a tokenURL');
    return;
  }
  refuseUnknownKeys(context, place, refuse);
  checkAssertion(helper, refuse);
  checkGrant(helper, refuse);
}

type Refuse = (name: string | null, message: string) => void;

const isBlank = (value: string): boolean => value.trim() === '';

/** Elsewhere unknown keys of this map are ignored; here they would be believed. */
function refuseUnknownKeys(context: RuleContext, place: Path, refuse: Refuse): void {
  const given = givenAt(context, place);
  const shape = shapeOf(oauth2CredentialHelper);
  if (!isPlainObject(given) || shape.kind !== 'object') return;
  for (const written of Object.keys(given)) {
    if (!shape.keys.has(written.toLowerCase())) refuse(written, `unknown key "${written}"`);
  }
}

function checkAssertion(helper: OAuth2Helper, refuse: Refuse): void {
  if (isBlank(helper.tokenURL)) refuse('tokenURL', 'tokenURL is required');
  const hasAssertion = !isBlank(helper.assertionFile);
  const hasSigning = !isBlank(helper.signingFile);
  if (hasAssertion === hasSigning) refuse(null, 'exactly one of assertionFile and signingFile is required');
}

function checkGrant(helper: OAuth2Helper, refuse: Refuse): void {
  const isExchange = helper.grantType.trim() === tokenExchange;
  if (isExchange && isBlank(helper.audience))
    refuse('audience', `audience is required with the grant ${tokenExchange}`);
  for (const name of ['audience', 'subjectTokenType', 'requestedTokenType'] as const) {
    if (isExchange || isBlank(helper[name])) continue;
    refuse(name, `${name} is only for the grant ${tokenExchange}`);
  }
  for (const name of ['subjectTokenType', 'requestedTokenType'] as const) {
    if (isBlank(helper[name]) || URL.canParse(helper[name].trim())) continue;
    refuse(name, `${name} must be an absolute URI`);
  }
}
