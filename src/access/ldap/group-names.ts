const GROUPS_MAX = 10_000;

/**
 * The groups that values of the group attribute stand for: the value itself, as zot has it, and for a distinguished
 * name also its common name, so that policies may say `developers` instead of `cn=developers,ou=groups,dc=example`.
 */
export function groupNames(values: readonly string[]): readonly string[] {
  const names = new Set<string>();
  for (const value of values.slice(0, GROUPS_MAX)) {
    names.add(value);
    const name = commonNameOf(value);
    if (name !== null && name !== '') names.add(name);
  }
  return [...names];
}

/** The value of a first part `cn=...` (RFC 4514); `null` for anything else. */
export function commonNameOf(dn: string): string | null {
  const [, raw] = /^\s*cn\s*=\s*((?:[^\\,+]|\\[0-9a-f]{2}|\\[^0-9a-f])*)(?:,|$)/i.exec(dn) ?? [];
  if (raw === undefined || raw.startsWith('#')) return null;
  const bytes: number[] = [];
  const trimmed = raw.replace(/(?<!\\)\s+$/, '');
  for (const [part, hex, char] of trimmed.matchAll(/\\([0-9a-f]{2})|\\?([^])/giu)) {
    if (hex !== undefined) bytes.push(Number(`0x${hex}`));
    else bytes.push(...Buffer.from(char ?? part));
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(bytes));
  } catch {
    // Escaped bytes that are no text name no group.
    return null;
  }
}
