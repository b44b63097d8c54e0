import type { LockRequest } from '../../locking/lock-strategy.js';
import type { LockWish } from './dialect.js';
import type { LockDatabase } from './lock-database.js';
import type { LockTarget } from './lock-target.js';
import type { WaitLimit } from './wait-limit.js';

/** Milliseconds that undoing something may take, after which it is left to the server. */
export const UNDO_LIMIT = 2_000;

/** What every acquisition works with, in a transaction of its own or in one that is open already. */
export interface AcquisitionParts {
  readonly database: LockDatabase;
  readonly target: LockTarget;
  readonly request: LockRequest;
  readonly limit: WaitLimit;
}

/** What the database is asked for. */
export function wishOf(
  { database, target, request, limit }: AcquisitionParts,
  reservation: number | undefined,
): LockWish {
  // Whoever waits behind a reservation finds out and leaves: it takes them a moment, which is not part of the wait.
  const waitTime = reservation === undefined ? limit.left : limit.answerLimit;
  return {
    table: database.table,
    lock: target.lock,
    row: target.row,
    waitTime,
    ttl: request.ttl,
    reservation,
  };
}

/** We hold the others out, but don't run: let somebody else. */
export async function dropReservation({ database, target }: AcquisitionParts, token: number): Promise<void> {
  const statements = database.dialect.dropReservation(database.table, target.lock, token);
  await database.run(statements, { limit: UNDO_LIMIT }, target.name).catch(() => undefined);
}
