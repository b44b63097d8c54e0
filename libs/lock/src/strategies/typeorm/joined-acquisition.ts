import {
  LockBusyError,
  LockConfigurationError,
  LockError,
  LockTargetNotFoundError,
} from '../../locking/lock-error.js';
import type { StrategyLease } from '../../locking/lock-strategy.js';
import type { ForeignTransaction } from './foreign-transaction.js';
import { dropReservation, wishOf, type AcquisitionParts } from './acquisition-wish.js';
import { foundRow, grantedToken, isolationLevel } from './grant.js';
import { LockTransaction } from './lock-transaction.js';
import { ForeignLease, JoinedLease } from './typeorm-lease.js';
import { pause } from './wait-limit.js';

/**
 * Takes a lock in a transaction that is open already. No gate and no second connection: whoever is inside a transaction
 * holds a connection, and two processes that wait in each other's gates would wait for ever, while the database finds
 * every deadlock of its own.
 */
export class JoinedAcquisition {
  constructor(private readonly parts: AcquisitionParts) {}

  async run(around: LockTransaction | ForeignTransaction): Promise<StrategyLease> {
    const { request, target, database } = this.parts;
    const reservation = request.holdAtLeast > 0 ? await this.reserve() : undefined;
    const token = await this.join(around, reservation).catch(async (error: unknown) => {
      if (reservation !== undefined) await dropReservation(this.parts, reservation);
      throw error;
    });
    const lease = { name: target.name, token, strategy: database.strategy };
    if (around instanceof LockTransaction) return new JoinedLease(lease, around);
    return new ForeignLease(lease).watch((listener) => around.onLost(listener));
  }

  private async join(
    around: LockTransaction | ForeignTransaction,
    reservation: number | undefined,
  ): Promise<number> {
    const { database, limit, target } = this.parts;
    const { dialect } = database;
    for (;;) {
      const results = await around
        .exclusively(
          dialect.join(wishOf(this.parts, reservation)),
          dialect.undoJoin(),
          limit.answerLimit,
          limit.signal,
        )
        .catch((error: unknown) => {
          throw this.tell(error);
        });
      const isolation = isolationLevel(results);
      if (isolation !== undefined && isolation !== 'read committed') throw this.tooStrict(isolation);
      if (target.row !== undefined && !foundRow(results)) throw this.noSuchRow();
      const token = grantedToken(results);
      if (token !== undefined) return token;
      await this.waitForRefusal();
    }
  }

  /** On a connection of its own, for a moment: it must outlast a rollback of the transaction that is joined. */
  private async reserve(): Promise<number> {
    const { database, request, limit, target } = this.parts;
    const statements = database.dialect.reserve(wishOf(this.parts, undefined), request.holdAtLeast);
    for (;;) {
      const reach = { limit: limit.answerLimit, signal: limit.signal };
      const results = await database.run(statements, reach, target.name).catch((error: unknown) => {
        throw this.tell(error instanceof LockError ? (error.cause ?? error) : error);
      });
      const token = grantedToken(results);
      if (token !== undefined) return token;
      await this.waitForRefusal();
    }
  }

  /** Waits until the `holdAtLeast` of an earlier holder is over. */
  private async waitForRefusal(): Promise<void> {
    const { database, limit, target } = this.parts;
    const statements = database.dialect.explain(database.table, target.lock.id);
    const reach = { limit: limit.answerLimit, signal: limit.signal };
    const refusal = database.refusalOf(await database.run(statements, reach, target.name));
    if (refusal?.fencedBy === 'lease') throw database.fencedByTwo(target.name, refusal.fencedBy);
    const heldFor = Math.max(1, refusal?.heldFor ?? 1);
    const isOverInTime = heldFor < limit.left;
    await pause(Math.min(heldFor, limit.left), limit.signal);
    if (!isOverInTime) throw this.busy();
  }

  private tell(error: unknown): unknown {
    const { database, limit, target } = this.parts;
    if (limit.signal.aborted) return limit.signal.reason;
    if (error instanceof LockError) return error;
    const failure = database.dialect.failureOf(error);
    if (failure === 'snapshot') return this.tooStrict('repeatable read or stricter', error);
    // The work of this transaction has begun, so it can't be tried again here: whoever began it may.
    return failure === 'busy' || failure === 'deadlock'
      ? this.busy(error)
      : database.failure(error, target.name);
  }

  private busy(cause?: unknown): LockBusyError {
    const { database, target, limit } = this.parts;
    return new LockBusyError({ key: target.name, strategy: database.strategy, waited: limit.waited, cause });
  }

  private noSuchRow(): LockTargetNotFoundError {
    const { database, target } = this.parts;
    return new LockTargetNotFoundError(`"${target.name}" can't be locked: there is no such row.`, {
      key: target.name,
      strategy: database.strategy,
    });
  }

  private tooStrict(isolation: string, cause?: unknown): LockConfigurationError {
    const { database, target } = this.parts;
    return new LockConfigurationError(
      `"${target.name}" can't be locked inside a transaction with the isolation level "${isolation}": what it reads is as ` +
        'old as its first query, so it would not see what the last holder wrote. Use READ COMMITTED, or lock outside.',
      { key: target.name, strategy: database.strategy, cause },
    );
  }
}
