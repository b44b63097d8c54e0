import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** Calls back with each line of a socket. A connection that breaks is no error: its lines end. */
export function onLine(socket: Socket, callback: (line: string) => void): void {
  const lines = createInterface({ input: socket });
  // Each passes the error of the connection on.
  socket.on('error', () => undefined);
  lines.on('error', () => undefined);
  lines.on('line', callback);
}
