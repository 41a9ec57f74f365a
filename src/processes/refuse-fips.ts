import { getFips } from 'node:crypto';
import { StartError } from '#lib/start-error';

/** zot's switch is Go's own: `GODEBUG=fips140=on`, or `only`. */
const GO_SWITCH = /(?:^|,)\s*fips140=(?:on|only|debug)\s*(?:,|$)/;

/**
 * Refuses to start where FIPS 140 is asked for, as zot's users do or as Node does: Node brings no validated module, and
 * bcrypt, which password files hold, is outside of any. Throws `StartError`.
 */
export function refuseFips(godebug = process.env.GODEBUG ?? '', isOnInNode = getFips() === 1): void {
  const asked = GO_SWITCH.test(godebug) ? 'GODEBUG=fips140' : isOnInNode ? "Node's FIPS mode" : null;
  if (asked === null) return;
  throw new StartError(
    `${asked} asks for FIPS 140, which is not supported: Node.js brings no validated module. Unset it to start without`,
  );
}
