import { RegistryError } from '#oci/errors';
import { HttpAccessRequest } from '../access-request.ts';
import type { Handler } from '../context.ts';

/** `/zot/auth/callback/<provider>`: the browser comes back from a provider; its session begins here. */
export const getCallback: Handler = async (request, reply, { access }) => {
  const { openid, sessions } = access;
  if (openid === null || sessions === null) throw new RegistryError('NOT_FOUND');
  const { provider = '' } = request.params as { readonly provider?: string };
  const facts = new HttpAccessRequest(request);
  const { user, callbackUi, cookies } = await openid.finish(provider, facts);
  const begun = await sessions.begin(user, facts);
  reply.header('set-cookie', [...cookies, ...begun]).header('cache-control', 'no-store');
  // The address of this page holds the code: nobody is told where the browser comes from.
  reply.header('referrer-policy', 'no-referrer');
  return callbackUi === '' ? reply.code(201).send() : reply.code(302).header('location', callbackUi).send();
};
