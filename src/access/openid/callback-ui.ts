import type { Config } from '#config';

const LENGTH_MAX = 2048;
/** What browsers leave out of addresses or take for a slash, so that the rest means something else. */
const TREACHEROUS = /[^\x21-\x7e]|\\|%5c|%0d|%0a/i;
const ABSOLUTE = /^https?:\/\/[^/?#@]+([/?#]|$)/i;
const NOWHERE = '/';

/**
 * Where a browser may be sent after signing in: a path here, or an address whose origin the configuration allows.
 * Anything else becomes `/`, so that nobody is led to another site by a link to us; '' stays ''.
 */
export function safeCallback(asked: string, { http }: Config): string {
  if (asked === '') return '';
  if (asked.length > LENGTH_MAX || TREACHEROUS.test(asked)) return NOWHERE;
  return asked.startsWith('/') ? safePath(asked) : safeAddress(asked, http);
}

function safePath(asked: string): string {
  const here = 'http://here.invalid';
  const url = URL.parse(asked, here);
  // `//host` is another host, and so would be `/.//host` for whoever resolves it once more.
  const isHere =
    url !== null && url.origin === here && !asked.startsWith('//') && !url.pathname.startsWith('//');
  return isHere ? `${url.pathname}${url.search}${url.hash}` : NOWHERE;
}

function safeAddress(asked: string, { externalUrl, auth }: Config['http']): string {
  const url = ABSOLUTE.test(asked) ? URL.parse(asked) : null;
  if (url === null || url.username !== '' || url.password !== '') return NOWHERE;
  const allowed = [externalUrl, ...(auth.openid?.callbackAllowOrigins ?? [])];
  return allowed.some((origin) => URL.parse(origin)?.origin === url.origin) ? url.href : NOWHERE;
}
