/** Signatures and lists of contents of before the referrers API: tags that name their subject (cosign). */
import type { IndexWriter } from '#metadata';
import { parseDigest } from '#oci/digest';
import type { Digest } from '#oci/digest';
import type { Tag } from '#oci/reference';
import type { RepoName } from '#oci/repo-name';
import type { TaskContext } from '../scheduler.ts';

const TAG = /^sha256-([0-9a-f]{64})\.(?:sig|sbom)$/;
const PREFIX = 'sha256-';
const PAGE = 500;

export interface DanglingTag {
  readonly tag: Tag;
  readonly digest: Digest;
}

/** Tags that are about a manifest which the repository does not have, in byte order. */
export async function* danglingTags(
  index: IndexWriter,
  repo: RepoName,
  context: TaskContext,
): AsyncGenerator<DanglingTag> {
  for (let after: string = PREFIX; ;) {
    const page = await index.listTags(repo, { after, limit: PAGE });
    for (const tag of page) {
      if (context.signal.aborted || !tag.startsWith(PREFIX)) return;
      const subject = TAG.exec(tag)?.[1];
      if (subject === undefined) continue;
      const [entry] = await index.findEntries(repo, { kind: 'tag', tag });
      if (entry !== undefined && !(await isThere(index, repo, subject))) yield { tag, digest: entry.digest };
      await context.pause();
    }
    const last = page.at(-1);
    if (last === undefined) return;
    after = last;
  }
}

async function isThere(index: IndexWriter, repo: RepoName, hex: string): Promise<boolean> {
  const digest = parseDigest(`sha256:${hex}`);
  return (await index.findManifest(repo, { kind: 'digest', digest })) !== null;
}
