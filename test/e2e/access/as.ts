import type { OutgoingHttpHeaders } from 'node:http';
import type { Served } from '../support/served.ts';

/** The same server for somebody: every request carries their Authorization header, or headers. */
export function as(served: Served, authorization: string | string[] | undefined): Served {
  if (authorization === undefined) return served;
  return {
    ...served,
    request: (method, target, call = {}) => {
      const headers: OutgoingHttpHeaders = { ...call.headers };
      Object.assign(headers, { authorization });
      return served.request(method, target, { ...call, headers });
    },
  };
}
