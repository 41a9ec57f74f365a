/** Where the secrets of tests are: in the headers and queries of what they send, in configurations, in cookies. */
import { existsSync, readFileSync } from 'node:fs';
import { isTracing, keepOutput, noteSecret } from './traces.ts';

type Header = string | readonly string[] | number | undefined;

/** Cookies whose values let somebody in; others are for scripts to read. */
const SECRET_COOKIES: ReadonlySet<string> = new Set(['session', 'statecookie', 'state', 'pkce']);
const SECRET_PARAMETERS = ['code', 'id_token', 'access_token', 'refresh_token', 'token', 'password'];
const SECRET_KEYS = /^(clientsecret|bindpassword|hashkey|encryptkey|sessionhashkey|sessionencryptkey)$/i;
const KEY_FILES = /^(key|keypath)$/i;
const SECRET_FILES = /^(credentialsfile|sessionkeysfile)$/i;
/** A line of a private key in PEM. */
const KEY_LINE_CHARS_MIN = 60;

/** Notes a password, and the form in which clients send it. */
export function notePassword(user: string, password: string): void {
  noteSecret(password);
  noteSecret(Buffer.from(`${user}:${password}`).toString('base64'));
}

/** Notes what one request shows of itself. */
export function noteRequest(target: string, header: (name: string) => Header): void {
  for (const value of textsOf(header('authorization'))) noteAuthorization(value);
  for (const value of textsOf(header('cookie'))) value.split(';').forEach(noteCookie);
  const question = target.indexOf('?');
  const query = new URLSearchParams(question === -1 ? '' : target.slice(question));
  for (const name of SECRET_PARAMETERS) query.getAll(name).forEach(noteSecret);
}

/** Keeps the head of an answer, in which no secret belongs but in cookies, which are noted. */
export function keepAnswerHead(status: number, rawHeaders: readonly string[]): void {
  const kept: string[] = [String(status)];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    if (name.toLowerCase() === 'set-cookie') noteCookie(value.split(';')[0] ?? '');
    // Redirects of providers carry codes.
    else if (name.toLowerCase() !== 'location') kept.push(`${name}: ${value}`);
  }
  keepOutput(`${kept.join(' | ')}\n`);
}

/** Notes the secrets of a configuration, those in the files that it names included. */
export function noteConfig(value: unknown): void {
  if (!isTracing || typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner !== 'string') noteConfig(inner);
    else if (SECRET_KEYS.test(key)) noteSecret(inner);
    else if (SECRET_FILES.test(key) && existsSync(inner)) noteConfig(jsonOf(inner));
    else if (KEY_FILES.test(key) && existsSync(inner)) noteKey(readFileSync(inner, 'utf8'));
  }
}

/** Keeps the log files that a configuration names, before they are removed with their folder. */
export function keepLogFiles(config: unknown): void {
  const { log } = config as { readonly log?: Readonly<Record<string, unknown>> };
  for (const file of [log?.['output'], log?.['audit']])
    if (isTracing && typeof file === 'string' && file !== '' && existsSync(file))
      keepOutput(readFileSync(file, 'utf8'));
}

function noteKey(pem: string): void {
  for (const line of pem.split('\n')) if (line.length >= KEY_LINE_CHARS_MIN) noteSecret(line);
}

/** Credentials files of tests may be broken on purpose. */
function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function noteAuthorization(value: string): void {
  const [scheme = '', credentials = ''] = value.split(/\s+/, 2);
  noteSecret(credentials);
  if (scheme.toLowerCase() !== 'basic') return;
  const text = Buffer.from(credentials, 'base64').toString('utf8');
  noteSecret(text.slice(text.indexOf(':') + 1));
}

function noteCookie(pair: string): void {
  const [name = '', value = ''] = pair.trim().split('=', 2);
  if (SECRET_COOKIES.has(name)) noteSecret(value);
}

function textsOf(header: Header): readonly string[] {
  if (header === undefined) return [];
  return typeof header === 'object' ? header : [String(header)];
}
