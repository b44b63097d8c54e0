/** A string as Redis reads it: https://redis.io/docs/latest/develop/reference/protocol-spec/#bulk-strings */
export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}
