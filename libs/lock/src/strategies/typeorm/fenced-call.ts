import { LockBusyError, LockError, LockLostError, StaleLockError } from '../../locking/lock-error.js';
import type { TransactionRequest } from '../../locking/lock-transactions.js';
import type { Fence, StatementResult } from './dialect.js';
import { errorText } from './driver-error.js';
import type { ForeignTransaction } from './foreign-transaction.js';
import { fencedCount, serverTime, sessionOf } from './grant.js';
import type { LockDatabase } from './lock-database.js';
import { lockIdentity } from './lock-identity.js';
import { LockTransaction } from './lock-transaction.js';
import type { PooledConnection } from './pooled-connection.js';

/** All durations are milliseconds. */
export interface FencedCallLimits {
  readonly ttl: number;
  readonly waitTime: number;
}

/** The transaction of one call, and the tokens that it writes before anything else. */
export class FencedCall {
  private readonly fences: readonly Fence[];
  private readonly key: string;
  private readonly limit: number;

  constructor(
    private readonly database: LockDatabase,
    private readonly request: TransactionRequest,
    private readonly options: FencedCallLimits,
  ) {
    this.key = request.fences.map(({ name }) => name).join(', ') || 'a transaction';
    this.limit = Math.max(options.waitTime, SHORTEST_LIMIT);
    // One order for everybody: two calls that fence the same locks must not wait for each other.
    this.fences = request.fences
      .flatMap(({ name, token }) => (token === undefined ? [] : [{ ...lockIdentity(name), token }]))
      .sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  async prepare(): Promise<void> {
    if (this.request.signal.aborted) throw this.lost();
    this.database.assertInitialised(this.key);
    if (this.fences.length === 0) return;
    await this.database.checkTable(this.reach, this.key).catch((error: unknown) => {
      throw this.tell(error);
    });
  }

  async begin(): Promise<LockTransaction> {
    const { database, fences, key } = this;
    const { dialect, table } = database;
    const { ttl, waitTime } = this.options;
    const connection = await database.connect(this.reach, key).catch((error: unknown) => {
      throw this.tell(error);
    });
    const sentAt = performance.now();
    let results: readonly StatementResult[];
    try {
      results = await this.run(connection, dialect.beginFenced({ table, fences, waitTime, ttl }));
      await this.judge(results, (statements) => this.run(connection, statements));
    } catch (error) {
      await this.undo(connection);
      throw this.tell(error);
    }
    return new LockTransaction({
      connection,
      database,
      key,
      session: sessionOf(results),
      ttl,
      heardAt: sentAt + serverTime(results),
    });
  }

  /** Inside a transaction that is open already, only the tokens are left to be written. */
  async fenceIn(around: LockTransaction | ForeignTransaction): Promise<void> {
    if (this.fences.length === 0) return;
    const { dialect, table } = this.database;
    const { signal } = this.request;
    const run = (statements: string): Promise<readonly StatementResult[]> =>
      around.exclusively(statements, dialect.undoJoin(), this.limit + SHORTEST_LIMIT, signal);
    try {
      await this.judge(await run(dialect.fence(table, this.fences, this.options.waitTime)), run);
    } catch (error) {
      throw this.tell(error);
    }
  }

  lost(): unknown {
    const { reason } = this.request.signal as { readonly reason: unknown };
    if (reason instanceof LockError) return reason;
    return new LockLostError('before the commit', {
      key: this.key,
      strategy: this.database.strategy,
      cause: reason,
    });
  }

  private run(connection: PooledConnection, statements: string): Promise<readonly StatementResult[]> {
    return connection.run(statements, this.limit + SHORTEST_LIMIT, this.request.signal);
  }

  /** Says why, when the database has not taken every token. */
  private async judge(
    results: readonly StatementResult[],
    run: (statements: string) => Promise<readonly StatementResult[]>,
  ): Promise<void> {
    const { database, fences } = this;
    if (fencedCount(results) === fences.length) return;
    for (const { name: key, id, token } of fences) {
      const refusal = database.refusalOf(await run(database.dialect.explain(database.table, id)));
      if (refusal?.fencedBy === 'sequence') throw database.fencedByTwo(key, refusal.fencedBy);
      if (refusal === undefined || refusal.token <= token) continue;
      throw this.stale(key, token, refusal.token);
    }
    throw this.stale(this.key);
  }

  private stale(key: string, token?: number, seen?: number): StaleLockError {
    const tokens = token === undefined ? '' : ` (its token is ${token}, the database has seen ${seen})`;
    return new StaleLockError(
      `The lock on "${key}" was lost to a later holder${tokens}: nothing was written. Read again and retry, with a longer ` +
        'ttl if this happens often.',
      { key, strategy: this.database.strategy },
    );
  }

  private async undo(connection: PooledConnection): Promise<void> {
    try {
      if (connection.endReason === undefined)
        await connection.run(this.database.dialect.rollback, SHORTEST_LIMIT);
    } catch (error) {
      connection.destroy(errorText(error));
    }
    connection.giveBack();
  }

  private tell(error: unknown): unknown {
    const { database, key } = this;
    if (this.request.signal.aborted) return this.lost();
    if (error instanceof LockError) return error;
    const failure = database.dialect.failureOf(error);
    if (failure !== 'busy' && failure !== 'deadlock') return database.failure(error, key);
    return new LockBusyError({
      key,
      strategy: database.strategy,
      waited: this.options.waitTime,
      holder: 'the open transaction of an earlier holder',
      cause: error,
    });
  }

  private get reach(): { readonly limit: number; readonly signal: AbortSignal } {
    return { limit: this.limit, signal: this.request.signal };
  }
}

/** Milliseconds that the database has to answer at least. */
const SHORTEST_LIMIT = 2_000;
