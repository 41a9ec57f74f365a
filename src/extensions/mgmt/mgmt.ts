import type { Extension, ExtensionHost } from '#extension';
import type { Handler } from '#http';

const URL = '/v2/_zot/ext/mgmt';

/**
 * `GET /v2/_zot/ext/mgmt`: what this registry is and how one signs in, as zot's clients ask for it before anything
 * else. On where zot has it on: with the search extension.
 */
export const mgmt: Extension = {
  name: 'mgmt',
  start(host) {
    if (host.config.extensions?.search?.enable !== true) return;
    host.routes.push({ method: 'GET', url: URL, permission: 'public', handler: answer(host) });
    host.discovered.push({
      name: '_zot',
      url: 'https://github.com/project-zot/zot/blob/main/pkg/extensions/_zot.md',
      description: 'zot registry extensions',
      endpoints: [URL],
    });
  },
};

function answer(host: ExtensionHost): Handler {
  const { version, commit, binaryType, distributionSpec } = host.buildInfo;
  const body = JSON.stringify({
    distSpecVersion: distributionSpec,
    commit,
    releaseTag: version,
    binaryType,
    http: { auth: {} },
  });
  // As bytes, since the framework would add a charset to a text.
  const bytes = Buffer.from(body);
  return (_request, reply) => reply.header('content-type', 'application/json').send(bytes);
}
