import { callerOf } from '../caller.ts';
import { sendJson } from '../context.ts';
import type { Handler } from '../context.ts';
import { QUOTAS_EXTENSION } from '../zot/quotas.ts';
import { TAG_HISTORY, keepsHistory } from './tag-history.ts';
import { REPOSITORIES_EXTENSION } from '../zot/repositories.ts';

/**
 * GET `/v2/` (distribution-spec, "Determining Support"). Where one can sign in, the answer says how, also when nobody
 * has to: skopeo sends its credentials only to registries that ask for them here.
 */
export const getBase: Handler = (request, reply) => {
  reply.headers({ 'content-type': 'application/json', 'docker-distribution-api-version': 'registry/2.0' });
  const challenges = callerOf(request).challenges();
  if (challenges.length > 0) reply.header('www-authenticate', [...challenges]);
  return reply.send();
};

/** GET `/v2/_oci/ext/discover` (distribution-spec, extensions): what the configuration in force switches on. */
export const getDiscover: Handler = (_request, reply, { extensions, config }) => {
  const ofQuotas = config.storage.quotas.length > 0 ? [QUOTAS_EXTENSION] : [];
  const ofTags = keepsHistory(config) ? [TAG_HISTORY] : [];
  return sendJson(
    reply,
    JSON.stringify({ extensions: [...extensions, REPOSITORIES_EXTENSION, ...ofQuotas, ...ofTags] }),
  );
};
