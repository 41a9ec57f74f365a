/** The header line of credentials; nothing without them. */
export function authorizationLine(authorization: string | undefined): string {
  return authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
}
