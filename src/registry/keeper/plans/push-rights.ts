import type { IndexWriter } from '#metadata';
import { RegistryError } from '#oci/errors';
import type { ManifestPush, PushRights, Rights } from '../keeper-contract.ts';

const NO_RIGHTS: Rights = { create: false, update: false };

/**
 * Refuses a push that does more than its caller may (zot's rule): a tag that exists needs `update`, one that does not
 * `create`; a push by digest needs `create` of the digest where it has no tags or new ones, `update` where it has
 * existing ones. Asked while the push is planned, so that of two that race for a new tag the second is refused.
 */
export async function requireRights(push: ManifestPush, index: IndexWriter): Promise<void> {
  const { rights } = push;
  if (rights === undefined) return;
  const needed = { create: push.tags.length === 0, update: false };
  for (const tag of push.tags) {
    const holders = await index.findEntries(push.repo, { kind: 'tag', tag });
    const action = holders.length > 0 ? 'update' : 'create';
    needed[action] = true;
    if (!rightsTo(rights, tag)[action]) throw denied(action, tag);
  }
  if (rights.digest === null) return;
  for (const action of ['create', 'update'] as const) {
    if (needed[action] && !rights.digest[action]) throw denied(action, push.digest);
  }
}

function rightsTo(rights: PushRights, tag: string): Rights {
  return (Object.hasOwn(rights.tags, tag) ? rights.tags[tag] : undefined) ?? NO_RIGHTS;
}

function denied(action: keyof Rights, reference: string): RegistryError {
  return new RegistryError('DENIED', { detail: { action, reference } });
}
