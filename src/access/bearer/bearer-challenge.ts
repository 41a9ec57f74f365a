import { isRepoName } from '#oci/repo-name';
import { quoted } from '../challenges.ts';
import type { AccessRequest, Wanted } from '../contract.ts';

const WORDS = { read: 'pull', create: 'pull,push', update: 'pull,push', delete: 'delete' } as const;
const FROM = /[?&]from=([^&]{1,512})/;

/**
 * The `WWW-Authenticate` value that sends a client to a token server (Docker token specification, "How to
 * authenticate"). The scope names what the request needs: for a mount also reading its source.
 */
export function bearerChallenge(
  realm: string,
  service: string,
  { wanted, request }: { readonly wanted: Wanted | null; readonly request: AccessRequest },
): string {
  const scope = scopeOf(wanted, request);
  const parts = [`realm=${quoted(realm)}`, ...(service === '' ? [] : [`service=${quoted(service)}`])];
  return `Bearer ${[...parts, ...(scope === '' ? [] : [`scope=${quoted(scope)}`])].join(',')}`;
}

function scopeOf(wanted: Wanted | null, { url }: AccessRequest): string {
  if (wanted === null) return isCatalog(url) ? 'registry:catalog:*' : '';
  const { repo, action } = wanted;
  const source = action === 'create' ? mountSource(url) : null;
  const own = `repository:${repo}:${WORDS[action]}`;
  return source === null || source === repo ? own : `${own} repository:${source}:pull`;
}

/** Whether a request asks for the list of all repositories. */
export function isCatalog(url: string): boolean {
  return url.split('?', 1)[0] === '/v2/_catalog';
}

function mountSource(url: string): string | null {
  const [, encoded] = FROM.exec(url) ?? [];
  if (encoded === undefined || !url.includes('mount=')) return null;
  try {
    const name = decodeURIComponent(encoded);
    return isRepoName(name) ? name : null;
  } catch {
    // No name: the mount will be an upload.
    return null;
  }
}
