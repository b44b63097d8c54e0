import { LockConfigurationError, LockKeyError, LockUnavailableError } from '../../locking/lock-error.js';
import type { DataSource } from 'typeorm';
import type { Dialect, LockIdentity, LockTable, Refusal, StatementResult } from './dialect.js';
import { dialectOf } from './dialect-of.js';
import { errorText } from './driver-error.js';
import { joinQueries } from './joined-queries.js';
import { lockTableOf } from './lock-table.js';
import { PooledConnection } from './pooled-connection.js';
import { SideDoor } from './side-door.js';
import type { SessionState } from './transaction-renewal.js';
import { LimitOver, within } from './wait-limit.js';

export interface LockDatabaseParts {
  readonly dataSource: DataSource;
  /** The data source's name, as it was asked for. */
  readonly dataSourceName: string | undefined;
  /** For errors. */
  readonly strategy: string;
  /** Said by the user, or not. */
  readonly isolationLevel?: 'READ COMMITTED';
}

export interface Reach {
  /** Milliseconds to get a connection, and again to get an answer. */
  readonly limit: number;
  readonly signal?: AbortSignal;
}

/** The database of one data source, as the lock uses it. */
export class LockDatabase {
  readonly dataSource: DataSource;
  readonly dialect: Dialect;
  readonly table: LockTable;
  private readonly stopJoining: () => void;
  private readonly sideDoor: SideDoor;
  private tableIsThere = false;
  private checking: Promise<void> | undefined;

  /**
   * @throws {LockConfigurationError} the database can't lock.
   */
  constructor(private readonly parts: LockDatabaseParts) {
    this.dataSource = parts.dataSource;
    this.dialect = dialectOf(this.dataSource);
    this.checkIsolation();
    this.table = lockTableOf(this.dataSource);
    this.stopJoining = joinQueries(this.dataSource);
    this.sideDoor = new SideDoor(this.dataSource);
  }

  get name(): string | undefined {
    return this.parts.dataSourceName;
  }

  get strategy(): string {
    return this.parts.strategy;
  }

  /**
   * @throws {LockUnavailableError} the data source knows no entities and has no pool yet, or not any more.
   */
  assertInitialised(key?: string): void {
    if (this.dataSource.isInitialized) return;
    throw new LockUnavailableError(
      `the data source${this.name === undefined ? '' : ` "${this.name}"`} is not initialised, or was destroyed. Take locks while it is there.`,
      { key, strategy: this.strategy },
    );
  }

  /** Takes a connection from the pool. `onGone` is called once, when it is the pool's again. */
  async connect(
    { limit, signal }: Reach,
    key?: string,
    onGone = (): void => undefined,
  ): Promise<PooledConnection> {
    try {
      return await PooledConnection.take(this.dataSource, this.dialect, { limit, signal, onGone });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new LockUnavailableError(
        `no connection to ${this.dialect.database} (${errorText(error)}). Is it running, and is its pool large enough?`,
        { key, strategy: this.strategy, cause: error },
      );
    }
  }

  /** Runs statements on a connection of their own. */
  async run(statements: string, reach: Reach, key?: string): Promise<readonly StatementResult[]> {
    const connection = await this.connect(reach, key);
    try {
      return await connection.run(statements, reach.limit, reach.signal);
    } catch (error) {
      if (reach.signal?.aborted) throw error;
      throw this.failure(error, key);
    } finally {
      connection.giveBack();
    }
  }

  /**
   * What the server does for a session of ours. The pool may have no connection to spare, and one that it has may be
   * half open: a third of the time is for it, the rest for a connection beside it.
   *
   * @param age - milliseconds since the session's transaction was begun
   */
  async look(session: string, age: number, limit: number): Promise<SessionState> {
    const statements = this.dialect.lookAtSession(session, age);
    const [result] = await this.run(statements, { limit: limit / 6 }).catch(() =>
      within(this.runBeside(statements, limit), limit * (2 / 3)),
    );
    const row = result?.rows[0];
    if (row === undefined) return 'gone';
    return row.at_work === true || row.at_work === 1 ? 'at work' : 'idle';
  }

  /** Ends a session of ours on the server that waits for a lock which nobody wants any more; answers whether it does. */
  async endWait(lock: LockIdentity, session: number, limit: number): Promise<boolean> {
    const results = await within(this.runBeside(this.dialect.endWait(lock, session), limit), limit);
    return results.some(({ rows }) => rows.length > 0);
  }

  /** Whether {@link checkTable} has found it. */
  get hasTable(): boolean {
    return this.tableIsThere;
  }

  /**
   * Makes sure, once, that the lock table is there.
   *
   * @throws {LockConfigurationError} it is not, or is another one.
   */
  async checkTable(reach: Reach, key?: string): Promise<void> {
    if (this.tableIsThere) return;
    // One check for all who ask meanwhile, and each waits for it no longer than it can.
    this.checking ??= this.lookForTable().finally(() => {
      this.checking = undefined;
    });
    try {
      await within(this.checking, reach.limit, reach.signal);
    } catch (error) {
      if (!(error instanceof LimitOver)) throw error;
      throw new LockUnavailableError(`${this.dialect.database} can't be reached (${error.message}).`, {
        key,
        strategy: this.strategy,
      });
    }
  }

  /** What an error of the database means to the caller. Busy and conflicts are the caller's to tell. */
  failure(error: unknown, key?: string): Error {
    const context = { key, strategy: this.strategy, cause: error };
    switch (this.dialect.failureOf(error)) {
      case 'schema':
        this.tableIsThere = false;
        return new LockConfigurationError(
          `The table of a lock can't be used (${errorText(error)}). Add the migration CreateDistributedLock1767225600000 ` +
            "(from 'nestjs-distributed-lock/typeorm') to the data source's migrations and run it; the entities of " +
            'mapped resources need their tables too.',
          context,
        );
      case 'unsupported':
        return new LockConfigurationError(
          `The server does not understand the lock (${errorText(error)}): it must be ${this.dialect.database} ` +
            `${this.dialect.oldestVersion} or later. ${this.dialect.lookalike} Use such a server, or another strategy, ` +
            'for example redisLock().',
          context,
        );
      case 'value':
        return new LockKeyError(
          `The database can't read the value in the key "${key}" (${errorText(error)}).`,
          context,
        );
      default:
        return new LockUnavailableError(`${this.dialect.database} failed (${errorText(error)}).`, context);
    }
  }

  /** Why the lock table answered no row; undefined when the row is gone by now, and it is worth another try. */
  async explain(connection: PooledConnection, id: string, limit: number): Promise<Refusal | undefined> {
    return this.refusalOf(await connection.run(this.dialect.explain(this.table, id), limit));
  }

  /** Reads the answer to {@link Dialect.explain}. */
  refusalOf([result]: readonly StatementResult[]): Refusal | undefined {
    const row = result?.rows[0];
    if (row === undefined) return undefined;
    return {
      heldFor: Number(row.held_for),
      fencedBy: row.fenced_by === 'lease' ? 'lease' : 'sequence',
      token: Number(row.token),
    };
  }

  /** A key whose tokens come from two places could not tell the later holder: that must be seen, not guessed. */
  fencedByTwo(key: string, fencedBy: Refusal['fencedBy']): LockConfigurationError {
    const [seen, now] =
      fencedBy === 'lease'
        ? ['another strategy (Redis)', 'typeormLock()']
        : ['typeormLock()', 'another strategy (Redis)'];
    return new LockConfigurationError(
      `"${key}" was locked by ${seen} before and is now locked by ${now}: the two don't exclude each other, and their ` +
        `tokens can't be compared. Lock a resource by one strategy. After a change of strategy, when nobody uses the old ` +
        `one any more, delete the key's row from ${this.table.path}.`,
      { key, strategy: this.strategy },
    );
  }

  close(): void {
    this.stopJoining();
    this.sideDoor.close();
  }

  private async lookForTable(): Promise<void> {
    const reach = { limit: CHECK_LIMIT };
    if (this.dataSource.options.synchronize === true) await this.createTable(reach);
    await this.run(this.dialect.checkTable(this.table), reach);
    this.tableIsThere = true;
  }

  private checkIsolation(): void {
    const { isolationLevel } = this.dataSource.options as { readonly isolationLevel?: string };
    if (isolationLevel === undefined || isolationLevel === 'READ COMMITTED') return;
    if (this.parts.isolationLevel === 'READ COMMITTED') return;
    throw new LockConfigurationError(
      `The data source's isolation level is ${isolationLevel}, but inside of a lock it must be READ COMMITTED: under a ` +
        'stricter one a transaction reads what was before it waited for the lock, or fails. If READ COMMITTED is right ' +
        "for locked methods, say so with the option isolationLevel: 'READ COMMITTED' of typeormLock() and typeormTransactions().",
      { strategy: this.strategy },
    );
  }

  private runBeside(statements: string, limit: number): Promise<readonly StatementResult[]> {
    return this.sideDoor.use(async (dataSource) => {
      const connection = await PooledConnection.take(dataSource, this.dialect, {
        limit,
        onGone: () => undefined,
      });
      try {
        return await connection.run(statements, limit);
      } finally {
        connection.giveBack();
      }
    });
  }

  /** `synchronize` asks for whatever is missing to be made: the sequence is no part of any entity. */
  private async createTable(reach: Reach): Promise<void> {
    for (const statement of this.dialect.createTable(this.table)) {
      // Another process may be creating it at this very moment, which is an error even with IF NOT EXISTS. The check
      // that follows has the last word.
      await this.run(statement, reach).catch((error: unknown) => {
        if (!(error instanceof LockUnavailableError)) throw error;
      });
    }
  }
}

/** Milliseconds after which the check of the lock table is given up, to be tried again by the next call. */
const CHECK_LIMIT = 5_000;
