import type { Config } from '#config';
import { StartError } from '#lib/start-error';
import type { AccessParts } from '../contract.ts';
import { readClientKey } from './client-key.ts';
import { ConnectProvider } from './connect-provider.ts';
import type { ProviderConfig } from './connect-provider.ts';
import { GithubProvider } from './github-provider.ts';
import { OpenidSignIn } from './openid-sign-in.ts';
import type { Provider } from './provider.ts';
import { SignInStates } from './sign-in-state.ts';

/** Opens the providers of the configuration; none of them is asked anything yet. Throws `StartError`. */
export async function openOpenid(
  config: Config,
  parts: AccessParts,
  stateKey: Buffer,
): Promise<OpenidSignIn | null> {
  const { openid, secureSession } = config.http.auth;
  if (openid === undefined) return null;
  const providers = new Map<string, Provider>();
  for (const [name, provider] of Object.entries(openid.providers))
    providers.set(name, await openProvider(name, provider, parts));
  const { accounts, logger, audit } = parts;
  const states = new SignInStates(stateKey, config.http.tls !== undefined || secureSession === true);
  return new OpenidSignIn({ config, providers, states, accounts, logger, audit, now: Date.now });
}

async function openProvider(
  name: string,
  config: ProviderConfig,
  { logger }: AccessParts,
): Promise<Provider> {
  const place = `http.auth.openid.providers.${name}`;
  for (const key of ['issuer', 'authurl', 'tokenurl', 'apiurl'] as const) {
    if (config[key] !== '' && !isWebAddress(config[key]))
      throw new StartError(
        `${place}.${key}: ${config[key]} is not an address that begins with https:// or http://`,
      );
  }
  if (name.toLowerCase() === 'github') return new GithubProvider(config);
  const key = config.keypath === '' ? null : await readClientKey(config.keypath, place);
  return new ConnectProvider(config, key, logger.child({ component: 'openid', provider: name }));
}

function isWebAddress(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '');
}
