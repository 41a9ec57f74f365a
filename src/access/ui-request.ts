import type { AccessRequest } from './contract.ts';

/**
 * Whether a script of the UI asks. The header is what makes cookies count: a page of another site cannot send it
 * without being allowed to first (CORS), so that a cookie alone, which browsers send by themselves, gives no rights.
 */
export function isFromUi({ headers }: Pick<AccessRequest, 'headers'>): boolean {
  return headers['x-zot-api-client'] === 'zot-ui';
}
