import { sendJson } from '../context.ts';
import type { Handler } from '../context.ts';

/** GET `/v2/` (distribution-spec, "Determining Support"). */
export const getBase: Handler = (_request, reply) =>
  reply
    .headers({ 'content-type': 'application/json', 'docker-distribution-api-version': 'registry/2.0' })
    .send();

/** GET `/v2/_oci/ext/discover` (distribution-spec, extensions). */
export const getDiscover: Handler = (_request, reply, { extensions }) =>
  sendJson(reply, JSON.stringify({ extensions }));
