import { AndFilter, EqualityFilter, FilterParser } from 'ldapts';
import type { Filter } from 'ldapts';
import { StartError } from '#lib/start-error';

/**
 * Makes the filter that finds a user: the attribute equals the name, and the operator's own filter holds. The name
 * goes into the request as a value of its own, never through the text of a filter, so that nothing in it has a
 * meaning (RFC 4515 section 3). Throws `StartError` for a filter of the operator that cannot be read.
 */
export function userFilterMaker(attribute: string, userFilter: string): (username: string) => Filter {
  const own = userFilter.trim() === '' ? null : parsed(userFilter.trim());
  return (username) => {
    const byName = new EqualityFilter({ attribute, value: Buffer.from(username) });
    return own === null ? byName : new AndFilter({ filters: [byName, own] });
  };
}

/** As in zot, the outer parentheses may be left out. */
function parsed(text: string): Filter {
  try {
    return FilterParser.parseString(text.startsWith('(') ? text : `(${text})`);
  } catch (error) {
    throw new StartError(`http.auth.ldap.userFilter: ${JSON.stringify(text)} is not a filter`, {
      cause: error,
    });
  }
}
