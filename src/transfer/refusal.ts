/** What was asked for cannot be done, or what was given cannot be used: one line for the user, no stack. */
export class TransferRefusal extends Error {
  override readonly name = 'TransferRefusal';
}

/** Names and texts of others must not write lines of their own, nor move the cursor, nor fill the screen. */
export function printable(text: string): string {
  const line = text.replace(/\p{Cc}/gu, ' ');
  return line.length <= 200 ? line : `${line.slice(0, 200)}...`;
}
