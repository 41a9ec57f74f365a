/**
 * Repository names hold slashes, which route patterns cannot match in the middle. Before routing, the name becomes
 * one path segment: `/v2/a/b/manifests/x` -> `/v2/a%2Fb/manifests/x`. Routes by the last marker, as zot does.
 */

/** A path that cannot be routed: answered with 404, whatever it may have meant. */
export const UNROUTABLE = '/unroutable';

const MARKERS: ReadonlySet<string> = new Set(['manifests', 'blobs', 'referrers']);
/** An encoded slash or backslash of the client's own could pass a name off as another route's. */
const ENCODED_SEPARATOR = /%(?:2f|5c)/i;

/** `/v2/` written with percent signs: the router would decode it after the checks that are made here. */
const DISGUISED = /^\/(?:v|%76)(?:2|%32)\//i;

/** The URL that is routed; paths outside the repositories stay as they are. */
export function rewriteUrl(target: string): string {
  const url = originForm(target);
  if (!url.startsWith('/v2/')) return DISGUISED.test(url) ? UNROUTABLE : url;
  if (url.startsWith('/v2/_')) return url;
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  if (ENCODED_SEPARATOR.test(path)) return UNROUTABLE;
  const end = nameEnd(path);
  if (end < 0) return url;
  const name = path.slice(4, end);
  return `/v2/${name.replaceAll('/', '%2F')}${path.slice(end)}${question < 0 ? '' : url.slice(question)}`;
}

/** Where the repository's name ends in a path that begins with `/v2/`; -1 when no route with a name fits. */
function nameEnd(path: string): number {
  const last = path.lastIndexOf('/');
  const second = path.lastIndexOf('/', last - 1);
  if (second < 3) return -1;
  const before = path.slice(second + 1, last);
  const third = path.lastIndexOf('/', second - 1);
  // Routes with a word more: the uploads of blobs, and the history of a tag, whose `_oci` no name can hold.
  const word = third > 3 ? path.slice(third + 1, second) : '';
  if ((before === 'uploads' && word === 'blobs') || (before === 'tag-history' && word === '_oci'))
    return third;
  const isTags = before === 'tags' && path.slice(last + 1) === 'list';
  return (isTags || MARKERS.has(before)) && second > 3 ? second : -1;
}

const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i;

/** A request target as path and query: clients that believe us a proxy send the whole URL (RFC 9112 section 3.2.2). */
function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  const path = target.replace(AUTHORITY, '');
  return path.startsWith('?') || path === '' ? `/${path}` : path;
}

const UNCLEAN = /\/\/|\/\.{1,2}(?:\/|$)/;

/** The path with duplicate slashes and dot segments removed, if it has any; `null` for a clean one (zot: 301). */
export function cleanedUrl(target: string): string | null {
  const url = originForm(target);
  const question = url.indexOf('?');
  const path = question < 0 ? url : url.slice(0, question);
  if (!UNCLEAN.test(path)) return null;
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '.' && segment !== '') kept.push(segment);
  }
  const slash = path.endsWith('/') && kept.length > 0 ? '/' : '';
  // Browsers read a backslash as a slash: as the second character it would make a host of what follows.
  const clean = `/${kept.join('/')}${slash}`.replaceAll('\\', '%5C');
  return `${clean}${question < 0 ? '' : url.slice(question)}`;
}
