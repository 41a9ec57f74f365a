/**
 * The names of an object's own members that stand more than once in a JSON text, which `JSON.parse` passes over in
 * silence. The text must be well-formed; members of objects within are not looked at.
 */
export function repeatedMembers(text: string): string[] {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (char !== '"') continue;
    const end = endOfString(text, at);
    if (depth === 1 && /^\s*:/.test(text.slice(end + 1, end + 100))) {
      const name = JSON.parse(text.slice(at, end + 1)) as string;
      if (seen.has(name)) repeated.add(name);
      seen.add(name);
    }
    at = end;
  }
  return [...repeated];
}

/** Where the text that begins at a quotation mark ends. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
