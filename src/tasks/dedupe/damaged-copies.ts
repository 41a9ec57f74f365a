import type { IndexWriter } from '#metadata';
import type { Digest } from '#oci/digest';
import type { RepoName } from '#oci/repo-name';

const PAGE = 500;

/** How many repositories hold a digest in damaged bytes, as far as is known. */
export async function countDamaged(
  index: Pick<IndexWriter, 'listDamagedCopies'>,
  digest: Digest,
): Promise<number> {
  let count = 0;
  for (let after: RepoName | '' = ''; ;) {
    const page: readonly { readonly repo: RepoName }[] = await index.listDamagedCopies(digest, {
      after,
      limit: PAGE,
    });
    count += page.length;
    const last = page.at(-1);
    if (last === undefined) return count;
    after = last.repo;
  }
}
