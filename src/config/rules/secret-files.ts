import { coerceText } from '../coerce.ts';
import { isPlainObject, type PlainObject } from '../normalise.ts';
import { formatOfName, parseText } from '../parse.ts';
import { ConfigError, type Path } from '../problems.ts';
import { FileReadError, readTextFile } from '../read-file.ts';
import type { Rule, RuleContext } from './rule-context.ts';

/**
 * The secret files that the configuration names: read while it is loaded, so that a wrong one is found before
 * the server starts. Their keys match in any case; the type follows the ending of the name.
 */

/** What a secret file may hold, and whether all of it must be there. */
interface SecretShape<K extends string> {
  readonly keys: readonly K[];
  readonly isComplete: boolean;
}

/** What is wrong with a secret file. */
class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
}

export const readLdapCredentials: Rule = (context) => {
  const { ldap } = context.config.http.auth;
  if (ldap === undefined || ldap.credentialsFile === '') return;
  const path = ['http', 'auth', 'ldap', 'credentialsFile'];
  const secrets = readSecrets(context, path, ldap.credentialsFile, {
    keys: ['bindDN', 'bindPassword'],
    isComplete: true,
  });
  Object.assign(ldap, secrets);
};

export const readOpenidCredentials: Rule = (context) => {
  const providers = Object.entries(context.config.http.auth.openid?.providers ?? {});
  for (const [name, provider] of providers) {
    if (provider.credentialsFile === '') continue;
    const path = ['http', 'auth', 'openid', 'providers', name, 'credentialsFile'];
    const secrets = readSecrets(context, path, provider.credentialsFile, {
      keys: ['clientid', 'clientsecret'],
      isComplete: true,
    });
    Object.assign(provider, secrets);
  }
};

export const readSessionKeys: Rule = (context) => {
  const { auth } = context.config.http;
  if (auth.sessionKeysFile === '') return;
  const path = ['http', 'auth', 'sessionKeysFile'];
  const secrets = readSecrets(context, path, auth.sessionKeysFile, {
    keys: ['hashKey', 'encryptKey'],
    isComplete: false,
  });
  if (secrets.hashKey !== undefined) auth.sessionHashKey = secrets.hashKey;
  if (secrets.encryptKey !== undefined) auth.sessionEncryptKey = secrets.encryptKey;
};

function readSecrets<K extends string>(
  { report }: RuleContext,
  path: Path,
  file: string,
  shape: SecretShape<K>,
): Partial<Record<K, string>> {
  try {
    return pickSecrets(parseSecretFile(file), shape);
  } catch (error) {
    if (error instanceof FileReadError || error instanceof SecretFileError) report.error(path, error.message);
    else if (error instanceof ConfigError) {
      for (const problem of error.problems) report.error(path, `${file}: ${problem.message}`);
    } else throw error;
    return {};
  }
}

function parseSecretFile(file: string): PlainObject {
  const text = readTextFile(file);
  const format = formatOfName(file);
  if (format === null) {
    const ending = /\.([^./\\]+)$/.exec(file)?.[1] ?? '';
    throw new SecretFileError(
      `Unsupported Config Type "${ending}": the name of ${file} must end in .json, .yaml or .toml`,
    );
  }
  const { value } = parseText(text, format);
  if (!isPlainObject(value) || Object.values(value).every((member) => member === null)) {
    throw new SecretFileError(`failed to load secret file due to the absence of any key:value pair: ${file}`);
  }
  return value;
}

function pickSecrets<K extends string>(
  value: PlainObject,
  shape: SecretShape<K>,
): Partial<Record<K, string>> {
  const secrets: Partial<Record<K, string>> = {};
  const wanted = `write ${shape.keys.map((key) => `"${key}"`).join(' and ')}`;
  for (const [written, member] of Object.entries(value)) {
    const key = shape.keys.find((name) => name.toLowerCase() === written.toLowerCase());
    if (key === undefined) {
      throw new SecretFileError(`failed to load secret file due to unknown keys: "${written}"; ${wanted}`);
    }
    if (key in secrets) throw new SecretFileError(`the key "${written}" stands twice, in different case`);
    if (member === null) continue;
    const coerced = coerceText(member);
    // The value itself is never shown: it is a secret.
    if (!coerced.ok) throw new SecretFileError(`the value of "${key}" is not a text`);
    secrets[key] = String(coerced.value);
  }
  const missing = shape.keys.filter((key) => secrets[key] === undefined);
  if (shape.isComplete && missing.length > 0) {
    throw new SecretFileError(
      `failed to load secret file due to unset keys: ${missing.join(', ')}; ${wanted}`,
    );
  }
  return secrets;
}
