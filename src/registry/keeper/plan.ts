import type { IndexWriter } from '#metadata';
import type { RepoName } from '#oci/repo-name';
import type { RepositoryStore } from '#storage';
import { NO_CHANGE } from './operation.ts';
import type { Operation, OperationKeys, Plan } from './operation.ts';
import { planCollectBlob, planCollectManifest } from './plan-collect.ts';
import { planDeleteBlob, planDeleteManifest, planDeleteTag } from './plan-delete.ts';
import { planPush } from './plan-push.ts';

/** Works out what an operation does, against the index as it stands; throws what refuses it. */
export async function planOperation(
  operation: Operation,
  index: IndexWriter,
  store: RepositoryStore,
): Promise<Plan> {
  switch (operation.kind) {
    case 'push':
      return planPush(operation.push, index, store);
    case 'deleteTag':
      return planDeleteTag(store.name, operation.tag, index);
    case 'deleteManifest':
      return planDeleteManifest(store.name, operation, index);
    case 'deleteBlob':
      return planDeleteBlob(store.name, operation.digest, index, store);
    case 'collectManifest':
      return planCollectManifest(store.name, operation, index);
    case 'collectBlob':
      return planCollectBlob(store.name, operation.digest, index);
    case 'refresh':
      return NO_CHANGE;
  }
}

/** What an operation reads and changes: tags as `tag <name>`, digests as they are. */
export async function keysOf(
  operation: Operation,
  repo: RepoName,
  index: IndexWriter,
): Promise<OperationKeys> {
  switch (operation.kind) {
    case 'push': {
      const { digest, tags, projection } = operation.push;
      const held = await Promise.all(tags.map((tag) => index.findEntries(repo, { kind: 'tag', tag })));
      return {
        reads: projection.references.map((reference) => reference.digest),
        writes: [digest, ...tags.map((tag) => `tag ${tag}`), ...held.flat().map((entry) => entry.digest)],
      };
    }
    case 'deleteTag': {
      const held = await index.findEntries(repo, { kind: 'tag', tag: operation.tag });
      return { reads: [], writes: [`tag ${operation.tag}`, ...held.map((entry) => entry.digest)] };
    }
    case 'collectManifest':
    case 'deleteManifest': {
      const held = await index.findEntries(repo, { kind: 'digest', digest: operation.digest });
      const children = await index.listReferences(repo, operation.digest);
      const tags = held.flatMap((entry) => (entry.tag === null ? [] : [`tag ${entry.tag}`]));
      const unlisted = children.filter(({ role }) => role === 'child').map((child) => child.digest);
      return { reads: [], writes: [operation.digest, ...tags, ...unlisted] };
    }
    case 'collectBlob':
    case 'deleteBlob':
      return { reads: [], writes: [operation.digest] };
    case 'refresh':
      return { reads: [], writes: [] };
  }
}
