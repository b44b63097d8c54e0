import type { EntityManager } from 'typeorm';
import { checkKnownOptions, type OptionNames } from '../../locking/known-options.js';
import { LockConfigurationError } from '../../locking/lock-error.js';
import {
  LockTransactions,
  type LockTransactionsFactory,
  type TransactionRequest,
} from '../../locking/lock-transactions.js';
import type { StrategyContext } from '../../locking/lock-strategy.js';
import { FencedCall } from './fenced-call.js';
import { type ForeignTransaction, foreignTransaction } from './foreign-transaction.js';
import { openTransactionOf } from './joined-queries.js';
import { LockDatabase } from './lock-database.js';
import type { LockTransaction } from './lock-transaction.js';
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
   * The isolation level inside of locks. There is no other, for under a stricter one the method would read what was before
   * it waited; to be said only where the data source asks for a stricter level, which is an error at the start without it.
   *
   * @defaultValue 'READ COMMITTED'
   */
  readonly isolationLevel?: 'READ COMMITTED';
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
 * @throws {LockConfigurationError} an option is unknown, or has a value that can't work.
 *
 * @publicApi
 */
export function typeormTransactions(options: TypeormTransactionsOptions = {}): LockTransactionsFactory {
  checkKnownOptions('typeormTransactions', options, OPTIONS, '');
  const { ttl = 10_000, waitTime = 15_000 } = options;
  if (!(ttl >= 100)) throw badOption('ttl', ttl, 'at least 100');
  if (!(waitTime >= 0)) throw badOption('waitTime', waitTime, 'at least 0');
  return (nest) => new TypeormTransactions(nest, { ...options, ttl, waitTime });
}

const OPTIONS: OptionNames<TypeormTransactionsOptions> = {
  dataSource: true,
  ttl: true,
  waitTime: true,
  isolationLevel: true,
  currentManager: true,
};

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
      database = new LockDatabase({
        dataSource,
        dataSourceName,
        strategy: this.nest.strategy,
        isolationLevel: this.options.isolationLevel,
      });
      this.databases.set(dataSourceName, database);
    }
    return database;
  }
}

function badOption(option: string, value: unknown, expected: string): LockConfigurationError {
  return new LockConfigurationError(
    `typeormTransactions({ ${option}: ${String(value)} }) can't work: it must be a number of milliseconds of ${expected}.`,
  );
}
