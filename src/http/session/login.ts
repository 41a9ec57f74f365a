import { RegistryError } from '#oci/errors';
import { HttpAccessRequest } from '../access-request.ts';
import { queryValue } from '../context.ts';
import type { Handler } from '../context.ts';

/** `/zot/auth/login?provider=P[&callback_ui=U]`: sends the browser to a provider. */
export const getLogin: Handler = async (request, reply, { access }) => {
  if (access.openid === null) throw new RegistryError('NOT_FOUND');
  const provider = queryValue(request, 'provider') ?? '';
  const callbackUi = queryValue(request, 'callback_ui') ?? '';
  const { location, cookies } = await access.openid.begin(
    provider,
    callbackUi,
    new HttpAccessRequest(request),
  );
  return reply
    .code(302)
    .header('location', location)
    .header('set-cookie', [...cookies])
    .header('cache-control', 'no-store')
    .send();
};
