import type { LockedRow, LockIdentity } from './dialect.js';

/** What one call locks. */
export interface LockTarget {
  /** As the caller wrote it. */
  readonly name: string;
  /** As the database has it: one for one row, however the key was written. */
  readonly lock: LockIdentity;
  /** Absent: the lock's row in the lock table. */
  readonly row: LockedRow | undefined;
}
