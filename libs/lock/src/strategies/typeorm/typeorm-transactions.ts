import type { EntityManager } from 'typeorm';
import {
  LockBusyError,
  LockConfigurationError,
  LockError,
  LockLostError,
  StaleLockError,
} from '../../locking/lock-error.js';
import {
  LockTransactions,
  type LockTransactionsFactory,
  type TransactionRequest,
} from '../../locking/lock-transactions.js';
import type { StrategyContext } from '../../locking/lock-strategy.js';
import type { Fence, StatementResult } from './dialect.js';
import { errorText } from './driver-error.js';
import { type ForeignTransaction, foreignTransaction } from './foreign-transaction.js';
import { fencedCount } from './grant.js';
import { openTransactionOf } from './joined-queries.js';
import { LockDatabase } from './lock-database.js';
import { lockIdentity } from './lock-identity.js';
import { LockTransaction } from './lock-transaction.js';
import type { PooledConnection } from './pooled-connection.js';
import { findDataSource } from './typeorm-lock.js';

/** How {@link typeormTransactions} works. All durations are milliseconds. */
export interface TypeormTransactionsOptions {
  /**
   * The data source of `transaction: true`.
   *
   * @defaultValue the default data source
   */
  readonly dataSource?: string;
  /**
   * How long the server keeps the transaction of a process that has fallen silent (dead, frozen, cut off). Renewed while
   * the method runs.
   *
   * @defaultValue 10000
   */
  readonly ttl?: number;
  /**
   * How long a call waits for a connection, and for the open transaction of an earlier holder of its lock: the lock is
   * ours by then, so only a holder that has lost it can be in the way.
   *
   * @defaultValue 15000
   */
  readonly waitTime?: number;
  /**
   * The entity manager of a transaction that something else has opened around the call: `() => txHost.tx` for
   * `@nestjs-cls/transactional`. The method then runs in that transaction.
   */
  readonly currentManager?: () => EntityManager | undefined;
}

/**
 * `transaction: true` for locked methods: begins a transaction, writes the lock's fencing token into it, runs the method
 * with all its queries inside, commits, and only then is the lock released. A holder that was overtaken by a later one
 * gets a `StaleLockError`, and nothing of it is written.
 *
 * Needs the migration {@link CreateDistributedLock1767225600000}.
 *
 * @publicApi
 */
export function typeormTransactions(options: TypeormTransactionsOptions = {}): LockTransactionsFactory {
  const { ttl = 10_000, waitTime = 15_000 } = options;
  if (!(ttl >= 100)) throw badOption('ttl', ttl, 'at least 100');
  if (!(waitTime >= 0)) throw badOption('waitTime', waitTime, 'at least 0');
  return (nest) => new TypeormTransactions(nest, { ...options, ttl, waitTime });
}

type ResolvedOptions = TypeormTransactionsOptions &
  Required<Pick<TypeormTransactionsOptions, 'ttl' | 'waitTime'>>;

class TypeormTransactions extends LockTransactions {
  private readonly databases = new Map<string | undefined, LockDatabase>();

  constructor(
    private readonly nest: StrategyContext,
    private readonly options: ResolvedOptions,
  ) {
    super();
  }

  override async run<T>(request: TransactionRequest, work: () => Promise<T>): Promise<T> {
    const database = this.databaseOf(request.dataSource);
    const call = new FencedCall(database, request, this.options);
    await call.prepare();
    const around = this.around(database);
    if (around !== undefined) {
      await call.fenceIn(around);
      return work();
    }
    const transaction = await call.begin();
    try {
      const result = await transaction.run(work);
      // Whoever has the lock by now reads what is committed: what was done without it must not be.
      if (request.signal.aborted) throw call.lost();
      await transaction.commit();
      return result;
    } catch (error) {
      await transaction.rollback();
      throw error;
    }
  }

  override isActive(dataSource?: string): boolean {
    return this.around(this.databaseOf(dataSource)) !== undefined;
  }

  private around(database: LockDatabase): LockTransaction | ForeignTransaction | undefined {
    const { dataSource, dialect } = database;
    return (
      openTransactionOf(dataSource) ?? foreignTransaction(dataSource, dialect, this.options.currentManager)
    );
  }

  private databaseOf(name: string | undefined): LockDatabase {
    const dataSourceName = name ?? this.options.dataSource;
    let database = this.databases.get(dataSourceName);
    if (database === undefined) {
      const dataSource = findDataSource(this.nest, dataSourceName);
      database = new LockDatabase({ dataSource, dataSourceName, strategy: this.nest.strategy });
      this.databases.set(dataSourceName, database);
    }
    return database;
  }
}

/** One method that runs in a transaction. */
class FencedCall {
  private readonly fences: readonly Fence[];
  private readonly key: string;
  private readonly limit: number;

  constructor(
    private readonly database: LockDatabase,
    private readonly request: TransactionRequest,
    private readonly options: ResolvedOptions,
  ) {
    this.key = request.fences.map(({ name }) => name).join(', ') || 'a transaction';
    this.limit = Math.max(options.waitTime, SHORTEST_LIMIT);
    // One order for everybody: two calls that fence the same locks must not wait for each other.
    this.fences = request.fences
      .flatMap(({ name, token }) => (token === undefined ? [] : [{ ...lockIdentity(name), token }]))
      .sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  async prepare(): Promise<void> {
    this.database.assertInitialised(this.key);
    if (this.fences.length > 0) await this.database.checkTable(this.reach, this.key);
  }

  async begin(): Promise<LockTransaction> {
    const { database, fences, key } = this;
    const { dialect, table, name: dataSourceName, strategy } = database;
    const { ttl, waitTime } = this.options;
    const connection = await database.connect(this.reach, key).catch((error: unknown) => {
      throw this.tell(error);
    });
    try {
      const statements = dialect.beginFenced({ table, fences, waitTime, ttl });
      await this.judge(await this.run(connection, statements), (statement) =>
        this.run(connection, statement),
      );
    } catch (error) {
      await this.undo(connection);
      throw this.tell(error);
    }
    return new LockTransaction({ connection, dialect, dataSourceName, key, strategy, ttl });
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
    if (failure !== 'busy' && failure !== 'conflict') return database.failure(error, key);
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

function badOption(option: string, value: unknown, expected: string): LockConfigurationError {
  return new LockConfigurationError(
    `typeormTransactions({ ${option}: ${String(value)} }) can't work: it must be a number of milliseconds of ${expected}.`,
  );
}
