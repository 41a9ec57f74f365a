/** zot's `storage.maxRepos`, with one serving process and with two. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startServer, type RunningServer } from '../support/server.ts';
import { errorOf, jsonOf, sendRequest, statusAndCode, type Answer } from './support/client.ts';
import { imageOf, type Image } from './support/content.ts';

for (const workers of [1, 2]) {
  describe(`a limit of five repositories, with ${workers} serving`, { timeout: 120_000 }, () => {
    let server: RunningServer;
    before(async () => {
      server = await startServer({ config: { http: { workers }, storage: { maxRepos: 5 } } });
    });
    after(() => server.stop());

    const send = (method: string, target: string, body?: Buffer, type = ''): Promise<Answer> =>
      sendRequest(server.port, {
        method,
        target,
        ...(body === undefined ? {} : { body }),
        headers: type === '' ? {} : { 'content-type': type },
      });

    async function push(repo: string, { config, layers, manifest }: Image, tag = 'latest'): Promise<Answer> {
      for (const { digest, bytes } of [config, ...layers]) {
        const answer = await send('POST', `/v2/${repo}/blobs/uploads/?digest=${digest}`, bytes);
        assert.equal(answer.status, 201);
      }
      return send('PUT', `/v2/${repo}/manifests/${tag}`, manifest.bytes, manifest.mediaType);
    }

    it('holds exactly when twenty are begun at once, and says so', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, at) => push(`many/app${at}`, imageOf(`many ${at}`))),
      );
      const refused = answers.filter(({ status }) => status !== 201);
      assert.equal(refused.length, 15);
      for (const answer of refused) assert.equal(statusAndCode(answer), '429 TOOMANYREQUESTS');
      const { message, detail } = errorOf(refused[0] as Answer);
      assert.equal(message, 'this registry takes no more than 5 repositories (storage.maxRepos)');
      assert.equal(detail.limit, 5);
    });

    it('leaves those that are there alone, and lets another come when one has gone', async () => {
      const { repositories } = jsonOf(await send('GET', '/v2/_catalog')) as { repositories: string[] };
      assert.equal(repositories.length, 5);
      const [repo = ''] = repositories;
      const image = imageOf(repo);
      assert.equal((await push(repo, image, 'more')).status, 201);
      assert.equal(statusAndCode(await push('one/more', image)), '429 TOOMANYREQUESTS');
      const tags = jsonOf(await send('GET', `/v2/${repo}/tags/list`)) as { tags: string[] };
      for (const tag of tags.tags) {
        const found = await send('HEAD', `/v2/${repo}/manifests/${tag}`);
        const digest = String(found.headers['docker-content-digest']);
        assert.match(
          statusAndCode(await send('DELETE', `/v2/${repo}/manifests/${digest}`)),
          /^(202|404 .*)$/,
        );
      }
      assert.equal((await push('one/more', image)).status, 201);
    });
  });
}
