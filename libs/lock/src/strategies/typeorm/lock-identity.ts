import { createHash } from 'node:crypto';
import type { LockIdentity } from './dialect.js';

/**
 * What a lock is called in the database. A digest instead of the name itself: it fits every index, tells upper from
 * lower case under every collation, and gives the 64 bits that an advisory lock has for its key. Two names that share
 * those 64 bits would only wait for each other.
 */
export function lockIdentity(name: string): LockIdentity {
  const digest = createHash('sha256').update(name).digest();
  return { name, id: digest.toString('hex'), advisoryKey: digest.readBigInt64BE(0) };
}
