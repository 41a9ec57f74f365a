import type { Config } from '#config';
import type { Extension, ExtensionHost } from '#extension';
import type { Handler } from '#http';
import { signInMethods } from './sign-in-methods.ts';

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
  const bodyOf = (config: Config): Buffer => {
    const auth = signInMethods(config);
    const about = { distSpecVersion: distributionSpec, commit, releaseTag: version, binaryType };
    // As bytes, since the framework would add a charset to a text.
    return Buffer.from(JSON.stringify({ ...about, http: { auth } }));
  };
  const bodies = new WeakMap<Config, Buffer>();
  return (_request, reply, { config }) => {
    const body = bodies.get(config) ?? bodyOf(config);
    bodies.set(config, body);
    return reply.header('content-type', 'application/json').send(body);
  };
}
