import { RegistryError } from './errors.ts';

declare const repoNameBrand: unique symbol;

/** A repository name by the grammar of the distribution specification, section "Pulling manifests". */
export type RepoName = string & { readonly [repoNameBrand]: true };

/** The specification says that clients limit host and name together to 255 characters. */
export const REPO_NAME_LENGTH_MAX = 255;

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const PATTERN = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);

/**
 * Components that are files or folders of an OCI layout. Below another repository such a name would
 * put one repository inside another's own files, so it is refused there.
 */
const LAYOUT_NAMES: ReadonlySet<string> = new Set(['blobs', 'index.json', 'oci-layout']);

/** Files that zot keeps beside the repositories in the root folder. */
const ROOT_FILES: ReadonlySet<string> = new Set(['cache.db', 'meta.db']);

/** Whether `text` is a name that can be stored. */
export function isRepoName(text: string): text is RepoName {
  if (text.length > REPO_NAME_LENGTH_MAX || !PATTERN.test(text)) return false;
  if (!text.includes('/')) return !ROOT_FILES.has(text);
  const components = text.split('/');
  if (ROOT_FILES.has(components[0] as string)) return false;
  return !components.slice(1).some((component) => LAYOUT_NAMES.has(component));
}

/** Text to repository name; throws `NAME_INVALID` (400) for anything else. */
export function parseRepoName(text: string): RepoName {
  if (isRepoName(text)) return text;
  throw new RegistryError('NAME_INVALID', {
    message:
      'repository names are lower case letters and digits, joined by single ".", "_", "__" or "-", ' +
      `with "/" between components, at most ${REPO_NAME_LENGTH_MAX} characters`,
    detail: { name: text.slice(0, 300) },
  });
}
