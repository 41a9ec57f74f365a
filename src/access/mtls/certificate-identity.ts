import { RE2JS } from 're2js';
import type { Config } from '#config';
import { StartError } from '#lib/start-error';
import { certificateNames } from './certificate-names.ts';
import type { CertificateNames } from './certificate-names.ts';
import { COMMON_NAME, subjectText } from './subject-text.ts';

type MtlsConfig = NonNullable<Config['http']['auth']['mtls']>;

/** Finds a user in the names of a certificate; `null` without one. */
export type IdentityReader = (names: CertificateNames) => string | null;

const DEFAULTS: MtlsConfig = {
  identityAttributes: ['CommonName'],
  uriSanPattern: '',
  uriSanIndex: 0,
  dnsSanIndex: 0,
  emailSanIndex: 0,
};
const USERNAME_LENGTH_MAX = 1024;
/** Control characters have no place in a name that reaches logs and headers. */
const CONTROL = /\p{Cc}/u;

/**
 * Compiles what `http.auth.mtls` says about where the user stands in a certificate: the attributes are tried in
 * order, an empty or missing one gives way to the next. Throws `StartError`.
 */
export function compileIdentity(config: MtlsConfig = DEFAULTS): (certificate: Buffer) => string | null {
  const readers = config.identityAttributes.map((name) => readerOf(name, config));
  return (certificate) => {
    const names = certificateNames(certificate);
    for (const read of readers) {
      const username = read(names);
      if (username !== null && isUsable(username)) return username;
    }
    return null;
  };
}

function isUsable(username: string): boolean {
  return username !== '' && username.length <= USERNAME_LENGTH_MAX && !CONTROL.test(username);
}

function readerOf(attribute: string, config: MtlsConfig): IdentityReader {
  switch (attribute.trim().toLowerCase()) {
    case 'commonname':
    case 'cn':
      return ({ subject }) => subject.findLast(({ oid }) => oid === COMMON_NAME)?.text ?? null;
    case 'subject':
    case 'dn':
      return ({ subject }) => subjectText(subject);
    case 'email':
    case 'rfc822name':
      return ({ emails }) => emails[config.emailSanIndex] ?? null;
    case 'dnsname':
    case 'dns':
      return ({ dnsNames }) => dnsNames[config.dnsSanIndex] ?? null;
    case 'uri':
    case 'url':
      return uriReader(config);
    default:
      throw new StartError(`http.auth.mtls.identityAttributes: unsupported identity attribute: ${attribute}`);
  }
}

/** With a pattern its first group is the user, such as the service account in a SPIFFE id. */
function uriReader({ uriSanPattern, uriSanIndex }: MtlsConfig): IdentityReader {
  const pattern = uriSanPattern === '' ? null : compiled(uriSanPattern);
  return ({ uris }) => {
    const uri = uris[uriSanIndex];
    if (uri === undefined || pattern === null) return uri ?? null;
    const matcher = pattern.matcher(uri);
    return matcher.find() && matcher.groupCount() > 0 ? matcher.group(1) : null;
  };
}

function compiled(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new StartError(`http.auth.mtls.uriSanPattern: invalid URI SAN pattern: ${pattern}`, {
      cause: error,
    });
  }
}
