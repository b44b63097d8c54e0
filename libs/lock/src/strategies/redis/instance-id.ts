import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

const HOST_LENGTH = 12;
const PID_LENGTH = 8;

/** Every instance id has this many characters: the scripts cut it out of strings by its place. */
export const INSTANCE_ID_LENGTH = 32;

/** A new id: 12 random characters (72 bits), then the process id and the end of the host's name, for people. */
export function newInstanceId(host = hostname(), pid = process.pid): string {
  const random = randomBytes(9).toString('base64url');
  const shortHost = host.replace(/[^A-Za-z0-9-]/g, '-').slice(-HOST_LENGTH);
  return random + String(pid).padStart(PID_LENGTH, '0') + shortHost.padStart(HOST_LENGTH, '_');
}

/** An instance in words, for `inspect` and errors. */
export function describeInstance(id: string): string {
  const pid = Number(id.slice(12, 12 + PID_LENGTH));
  const host = id.slice(12 + PID_LENGTH).replace(/^_+/, '');
  return `process ${pid} on ${host} (${id.slice(0, 12)})`;
}
