import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DIGEST_ALGORITHMS, digestOf } from '#oci/digest';
import { isRepoName } from '#oci/repo-name';
import { isUploadId, newUploadId } from '#oci/upload-id';
import {
  OWN_FOLDER,
  blobFolder,
  blobPath,
  indexPath,
  isAbandonedStage,
  layoutPath,
  newStagingPath,
  uploadPath,
  uploadsFolder,
} from './paths.ts';

const repo = fc.stringMatching(/^[a-z0-9]{1,5}([._/-][a-z0-9]{1,5}){0,4}$/).filter(isRepoName);
const digest = fc
  .tuple(fc.uint8Array(), fc.constantFrom(...DIGEST_ALGORITHMS))
  .map(([bytes, algorithm]) => digestOf(bytes, algorithm));

describe('paths of the store', () => {
  test('stay in the folder of their repository, and are never those of another repository', () => {
    fc.assert(
      fc.property(repo, repo, digest, (one, other, content) => {
        const paths = (name: typeof one): string[] => [
          indexPath(name),
          layoutPath(name),
          blobPath(name, content),
          uploadPath(name, newUploadId()),
          newStagingPath(name),
        ];
        for (const path of paths(one)) {
          assert.ok(path.startsWith(`${one}/`));
          assert.equal(posix.normalize(path), path);
          // The folder of no repository lies on the way, so repositories may nest.
          assert.ok(!isRepoName(path), path);
        }
        if (one !== other) assert.equal(new Set([...paths(one), ...paths(other)]).size, 10);
      }),
    );
  });

  test('are those of an OCI image layout', () => {
    fc.assert(
      fc.property(repo, digest, (name, content) => {
        const [algorithm = '', hex = ''] = content.split(':');
        assert.equal(blobPath(name, content), `${name}/blobs/${algorithm}/${hex}`);
        assert.equal(posix.dirname(blobPath(name, content)), blobFolder(name, algorithm as 'sha256'));
        assert.deepEqual([indexPath(name), layoutPath(name)], [`${name}/index.json`, `${name}/oci-layout`]);
        assert.equal(uploadsFolder(name), `${name}/.uploads`);
      }),
    );
  });

  test('of our own folder are those of no repository', () => {
    assert.ok(!isRepoName(OWN_FOLDER) && !isRepoName(`${OWN_FOLDER}/a`));
  });

  test('where bytes are staged are new each time, no upload, and known to be abandoned only in another process', () => {
    const own = Array.from({ length: 100 }, () =>
      posix.basename(newStagingPath('a' as Parameters<typeof indexPath>[0])),
    );
    assert.equal(new Set(own).size, 100);
    for (const name of own) assert.ok(!isUploadId(name) && !isAbandonedStage(name));
    assert.equal(isAbandonedStage('.stage-0123456789ab-00000000-0000-4000-8000-000000000000'), true);
    assert.equal(isAbandonedStage('.stage-1'), true);
    assert.equal(isAbandonedStage(newUploadId()), false);
  });
});
