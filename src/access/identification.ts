import type { AccessRequest, Authenticator, Identity, Refused } from './contract.ts';
import { ANONYMOUS } from './contract.ts';
import type { CredentialPlace } from './methods.ts';

export interface PlacedAuthenticator {
  readonly place: CredentialPlace;
  readonly authenticator: Authenticator;
}

/** An empty name and password, which some clients send for nobody. */
const NOBODY = 'basic og==';

/**
 * Finds out who is asking. What is offered in the `Authorization` header counts before a cookie, and that before the
 * certificate; within one place every way that the credentials fit is tried. Credentials that are offered and that
 * no way accepts are refused: they never fall back to another place or to nobody, unless the way itself says so.
 */
export class Identification {
  #byPlace: ReadonlyMap<CredentialPlace, readonly Authenticator[]>;

  constructor(authenticators: readonly PlacedAuthenticator[]) {
    const byPlace = new Map<CredentialPlace, Authenticator[]>();
    for (const { place, authenticator } of authenticators) {
      byPlace.set(place, [...(byPlace.get(place) ?? []), authenticator]);
    }
    this.#byPlace = byPlace;
  }

  async identify(request: AccessRequest): Promise<Identity | Refused> {
    if (request.authorization.length > 1) return refusal('more than one Authorization header');
    const [offered = ''] = request.authorization;
    const inHeader = this.#byPlace.get('header');
    if (inHeader !== undefined && offered.trim() !== '' && offered.trim().toLowerCase() !== NOBODY) {
      return (
        (await firstAnswer(inHeader, request)) ?? refusal('credentials of a kind that is not configured')
      );
    }
    for (const place of ['cookie', 'certificate'] as const) {
      const found = await firstAnswer(this.#byPlace.get(place) ?? [], request);
      if (found !== null) return found;
    }
    return ANONYMOUS;
  }
}

/** The first identity; if there is none, the first refusal, a throttled one before others. */
async function firstAnswer(
  authenticators: readonly Authenticator[],
  request: AccessRequest,
): Promise<Identity | Refused | null> {
  let refused: Refused | null = null;
  for (const authenticator of authenticators) {
    const found = await authenticator.identify(request);
    if (found === null) continue;
    if (!isRefused(found)) return found;
    const throttled = found.retryAfterSeconds !== undefined && refused?.retryAfterSeconds === undefined;
    if (refused === null || throttled) refused = found;
  }
  return refused;
}

export function isRefused(found: Identity | Refused): found is Refused {
  return 'refused' in found;
}

function refusal(reason: string): Refused {
  return { refused: true, reason, username: '' };
}
