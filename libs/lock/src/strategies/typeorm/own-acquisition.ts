import { LockBusyError, LockError, LockTargetNotFoundError } from '../../locking/lock-error.js';
import type { ConnectionGate } from './connection-gate.js';
import type { DatabaseFailure } from './dialect.js';
import { dropReservation, UNDO_LIMIT, wishOf, type AcquisitionParts } from './acquisition-wish.js';
import { foundRow, grantedToken, serverTime, sessionOf } from './grant.js';
import { LockTransaction } from './lock-transaction.js';
import type { PooledConnection } from './pooled-connection.js';
import { pause } from './wait-limit.js';

export interface OwnAcquisitionParts extends AcquisitionParts {
  readonly gate: ConnectionGate;
  readonly deadlockRetries: number;
}

export interface OwnGrant {
  readonly transaction: LockTransaction;
  readonly token: number;
}

interface Begun {
  readonly token: number;
  readonly session: string;
  /** A moment at which the server was not idle yet: the wait is over, and the answer is not sent. */
  readonly heardAt: number;
}

/** Takes a lock by a transaction of its own, for the caller whose turn it is in its process: a connection, then the lock. */
export class OwnAcquisition {
  constructor(private readonly parts: OwnAcquisitionParts) {}

  async run(): Promise<OwnGrant> {
    const { limit, deadlockRetries } = this.parts;
    for (let retries = 0; ;) {
      try {
        return await this.tryOnce();
      } catch (error) {
        if (error instanceof HeldOver) {
          // Nothing wakes us when an earlier holder's time is over, but the database has said when that is.
          const isOverInTime = error.heldFor < limit.left;
          await pause(Math.min(error.heldFor, limit.left), limit.signal);
          if (!isOverInTime) throw this.busy(error);
          continue;
        }
        if (!RETRIED.has(this.failureOf(error))) throw this.tell(error);
        retries += 1;
        if (retries > deadlockRetries) throw this.busy(error);
        await pause(Math.random() * LONGEST_JITTER * retries, limit.signal);
      }
    }
  }

  private async tryOnce(): Promise<OwnGrant> {
    const connection = await this.connect();
    const { database, target, request } = this.parts;
    let reservation: number | undefined;
    try {
      if (request.holdAtLeast > 0) reservation = await this.reserve(connection);
      const { token, session, heardAt } = await this.begin(connection, reservation);
      const transaction = new LockTransaction({
        connection,
        database,
        key: target.name,
        session,
        ttl: request.ttl,
        heardAt,
      });
      return { transaction, token };
    } catch (error) {
      await this.giveBack(connection);
      if (reservation !== undefined) await dropReservation(this.parts, reservation);
      throw error;
    }
  }

  private async connect(): Promise<PooledConnection> {
    const { gate, database, target, limit } = this.parts;
    const free = await gate.takeSlot(limit.leftToReach, limit.signal);
    if (free === undefined) {
      // Load is no fault of the database: whenUnavailable must not let anybody run without a lock because of it.
      throw new LockBusyError({
        key: target.name,
        strategy: database.strategy,
        waited: limit.waited,
        holder:
          `other locks, which use all ${gate.maxConnections} connections that locks may use in this process; ` +
          'lock for a shorter time, or raise maxConnections of typeormLock() and the pool',
      });
    }
    return database.connect({ limit: limit.leftToReach, signal: limit.signal }, target.name, free);
  }

  /** Makes sure that the lock is held for `holdAtLeast`, whatever happens to us: even if we are killed right after. */
  private async reserve(connection: PooledConnection): Promise<number> {
    const { database, request, limit } = this.parts;
    const statements = database.dialect.reserve(wishOf(this.parts, undefined), request.holdAtLeast);
    const token = grantedToken(
      await connection.run(statements, limit.answerLimit, limit.signal, this.endWait),
    );
    return token ?? (await this.refused(connection));
  }

  private async begin(connection: PooledConnection, reservation: number | undefined): Promise<Begun> {
    const { database, target, limit } = this.parts;
    const { dialect } = database;
    const sentAt = performance.now();
    const results = await connection.run(
      dialect.begin(wishOf(this.parts, reservation)),
      limit.answerLimit,
      limit.signal,
      this.endWait,
    );
    if (target.row !== undefined && !foundRow(results)) throw this.noSuchRow();
    const token = grantedToken(results) ?? (await this.refused(connection));
    return { token, session: sessionOf(results), heardAt: sentAt + serverTime(results) };
  }

  /** A session that nobody waits for any more would wait on, and take the lock for a moment when it is free. */
  private readonly endWait = (session: number, limit: number): Promise<boolean> => {
    const { database, target } = this.parts;
    return database.endWait(target.lock, session, limit);
  };

  /** The lock table answered no row: says why, by what it throws. */
  private async refused(connection: PooledConnection): Promise<never> {
    const { database, target, limit } = this.parts;
    const refusal = await database.explain(connection, target.lock.id, limit.answerLimit);
    if (refusal?.fencedBy === 'lease') throw database.fencedByTwo(target.name, refusal.fencedBy);
    throw new HeldOver(Math.max(1, refusal?.heldFor ?? 1));
  }

  private async giveBack(connection: PooledConnection): Promise<void> {
    const { dialect } = this.parts.database;
    try {
      if (connection.endReason === undefined) await connection.run(dialect.rollback, UNDO_LIMIT);
    } catch {
      connection.destroy('it could not be rolled back');
    }
    connection.giveBack();
  }

  private tell(error: unknown): unknown {
    const { database, target, limit } = this.parts;
    if (limit.signal.aborted) return limit.signal.reason;
    if (error instanceof LockError) return error;
    return this.failureOf(error) === 'busy' ? this.busy(error) : database.failure(error, target.name);
  }

  private failureOf(error: unknown): DatabaseFailure | undefined {
    return error instanceof LockError ? undefined : this.parts.database.dialect.failureOf(error);
  }

  private noSuchRow(): LockTargetNotFoundError {
    const { target, database } = this.parts;
    return new LockTargetNotFoundError(
      `"${target.name}" can't be locked: there is no such row. Check that it exists first, or lock by a key whose first ` +
        'segment is not in the resources of typeormLock(), which needs no row.',
      { key: target.name, strategy: database.strategy },
    );
  }

  private busy(cause?: unknown): LockBusyError {
    const { database, target, limit, gate } = this.parts;
    return new LockBusyError({
      key: target.name,
      strategy: database.strategy,
      waited: limit.waited,
      queueLength: gate.waiting(target.lock.name),
      cause,
    });
  }
}

/** Nobody holds the lock, but an earlier holder's `holdAtLeast` is not over. */
class HeldOver extends Error {
  constructor(readonly heldFor: number) {
    super(`kept by the holdAtLeast of an earlier holder for another ${Math.ceil(heldFor)} ms`);
  }
}

/** What another try may get around. */
const RETRIED: ReadonlySet<DatabaseFailure | undefined> = new Set(['deadlock', 'snapshot']);

/** Milliseconds. */
const LONGEST_JITTER = 50;
