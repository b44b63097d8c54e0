import type { Readable } from 'node:stream';
import type { DataSource, QueryRunner } from 'typeorm';
import { LockConfigurationError, LockLostError, LockNotOwnedError } from '../../locking/lock-error.js';
import { dataSourceOf } from './data-source-of.js';
import { type Dialect, internalsOf, type StatementResult } from './dialect.js';
import { errorText } from './driver-error.js';
import { runJoined } from './joined-queries.js';
import type { LockDatabase } from './lock-database.js';
import { QueryQueue, type QueryStream } from './query-queue.js';
import type { PooledConnection } from './pooled-connection.js';
import { TransactionRenewal } from './transaction-renewal.js';
import { within } from './wait-limit.js';

export interface LockTransactionParts {
  readonly connection: PooledConnection;
  readonly database: LockDatabase;
  /** For messages: the key, or the keys. */
  readonly key: string;
  /** What the server calls it. */
  readonly session: string;
  /** Milliseconds after which the server drops a silent holder. */
  readonly ttl: number;
  /** When the server was heard of last, or a moment before. */
  readonly heardAt: number;
}

/** What an open transaction works with. */
interface Workings {
  readonly runner: QueryRunner;
  readonly pooled: PooledConnection;
  /** The driver's connection, for the work: every query on it is looked at before it is sent. */
  readonly connection: unknown;
  readonly queries: QueryQueue;
  readonly renewal: TransactionRenewal;
}

type State = 'open' | 'ending' | 'committed' | 'rolled back' | 'lost';

/** An open database transaction of ours, from its begin to its end. The locks that were taken in it end with it. */
export class LockTransaction {
  readonly dataSource: DataSource;
  private readonly database: LockDatabase;
  private readonly key: string;
  private readonly ttl: number;
  /**
   * Let go at the end. A call that waited for long has grown old, and what it leads to is kept until the next full
   * collection; of hundreds that is copied in each small one, which stops the process meanwhile.
   */
  private workings: Workings | undefined;
  private readonly lossListeners = new Set<(reason: string) => void>();
  private state: State = 'open';
  private lossReason: string | undefined;
  private ending: Promise<void> | undefined;
  private waitsForLock = false;

  /** Of a connection on which the transaction was just begun. */
  constructor({ connection: pooled, database, key, session, ttl, heardAt }: LockTransactionParts) {
    const { runner } = pooled;
    this.database = database;
    this.key = key;
    this.ttl = ttl;
    this.dataSource = dataSourceOf(runner);
    // TypeORM did not see the begin. It asks these two whether to begin a transaction, and which savepoint is next.
    Object.assign(internalsOf(runner), { isTransactionActive: true, transactionDepth: 1 });
    const queries = new QueryQueue();
    const renewal = new TransactionRenewal({
      ttl,
      heardAt,
      isBusy: () => queries.isBusy,
      ping: (limit) => queries.run(() => this.send(() => pooled.run(this.dialect.ping, limit))),
      look: (limit) => database.look(session, performance.now() - heardAt, limit),
      // Nobody knows what the server still does with a connection that does not answer: only its end ends that.
      onLost: (reason) => pooled.destroy(reason),
    });
    const connection = pooled.guarded((query) => this.query(query));
    this.workings = { runner, pooled, connection, queries, renewal };
    // Last, for a connection that has ended since the begin says so at once.
    pooled.onEnd((reason) => this.lose(reason));
  }

  get runner(): QueryRunner {
    return this.working.runner;
  }

  /** See {@link Workings.connection}. */
  get connection(): unknown {
    return this.working.connection;
  }

  get dataSourceName(): string | undefined {
    return this.database.name;
  }

  get isOpen(): boolean {
    return this.state === 'open';
  }

  get isCommitted(): boolean {
    return this.state === 'committed';
  }

  /** Milliseconds until the server drops us unless it hears from us. */
  get remaining(): number {
    return this.isOpen ? this.working.renewal.remaining : 0;
  }

  /** Calls the listener once, when the transaction ended by itself; returns how to stop that. */
  onLost(listener: (reason: string) => void): () => void {
    if (this.lossReason !== undefined) listener(this.lossReason);
    else this.lossListeners.add(listener);
    return () => this.lossListeners.delete(listener);
  }

  /** Runs work whose queries join. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return runJoined(this, work);
  }

  /** Opens one stream of the work's: it counts as a query until it was read to its end. */
  async stream(open: () => Promise<QueryStream>): Promise<QueryStream> {
    return this.working.queries.stream(async () => {
      this.assertOpen();
      const stream = await open();
      stream.once('close', () => this.judge((stream as Partial<Readable>).errored));
      return stream;
    });
  }

  /**
   * Runs statements of ours while the work's queries wait, and when they fail undoes them, so that no query of the
   * work's falls between the failure and the savepoint that it is undone to. An abort ends the caller's waiting only:
   * ending the statement would take the whole connection, and with it the transaction that the caller is in.
   */
  async exclusively(
    statements: string,
    undo: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly StatementResult[]> {
    const { pooled, queries } = this.working;
    const results = queries.run(async () => {
      this.assertOpen();
      if (signal?.aborted) throw signal.reason as Error;
      this.waitsForLock = true;
      try {
        return await this.send(() => pooled.run(statements, limit));
      } catch (error) {
        if (pooled.endReason === undefined) await this.undoExclusive(undo, error);
        throw error;
      } finally {
        this.waitsForLock = false;
      }
    });
    return within(results, Infinity, signal);
  }

  /** Makes sure that the server waits for us for at least this many milliseconds. */
  async extend(duration: number): Promise<void> {
    this.assertOpen();
    const { pooled, queries, renewal } = this.working;
    if (duration <= renewal.remaining) return;
    const extended = Math.max(this.ttl, duration);
    await renewal.extend(extended, (limit) =>
      queries.run(() => this.send(() => pooled.run(this.dialect.extend(extended), limit))),
    );
  }

  /** @throws what has become of the transaction, unless it is open. */
  assertOpen(): void {
    if (this.state !== 'open') throw this.ended();
  }

  /** Makes everything permanent. A rejection means that it is not, unless it says that nobody knows. */
  async commit(): Promise<void> {
    this.assertOpen();
    const { runner, pooled, queries, renewal } = this.working;
    await this.tell(runner, 'BeforeTransactionCommit');
    this.assertOpen();
    // From here on no query gets in, and those that are in settle: nothing can slip in behind the COMMIT.
    this.state = 'ending';
    renewal.stop();
    const { dialect } = this;
    const limit = Math.max(this.ttl, SHORTEST_COMMIT_LIMIT);
    await within(queries.settle(), limit).catch(() =>
      pooled.destroy('a query that nobody waited for was still running at the commit'),
    );
    if (this.lossReason !== undefined) throw this.loss();
    if (internalsOf(runner).transactionDepth !== 1) {
      await this.rollback();
      throw this.misuse(
        'a nested transaction was still open when its work was done. Await nested transactions, and end each that is started',
      );
    }
    const results = await pooled.run(dialect.commit, limit).catch(async (error: unknown) => {
      throw await this.failedCommit(error);
    });
    const committed = dialect.wasCommitted(results);
    this.finish(committed ? 'committed' : 'rolled back');
    if (!committed) throw this.misuse(dialect.uncommitted);
    await this.tell(runner, 'AfterTransactionCommit');
  }

  /** Undoes everything. Never fails: a connection that can't say so is ended, and the server undoes it then. */
  rollback(): Promise<void> {
    this.ending ??= this.undo();
    return this.ending;
  }

  private async undo(): Promise<void> {
    if (this.workings === undefined) return;
    const { runner, pooled, queries, renewal } = this.workings;
    // A lock that somebody still waits for in here would keep the ROLLBACK waiting as well.
    if (this.waitsForLock) pooled.destroy('it was rolled back while it waited for a lock');
    if (this.isOpen) this.state = 'ending';
    if (this.state !== 'ending' && this.state !== 'lost') return;
    renewal.stop();
    // What was left behind may take long, or for ever: with its connection it ends.
    await within(queries.settle(), ROLLBACK_LIMIT).catch(() =>
      pooled.destroy('a query that nobody waited for was still running at the rollback'),
    );
    try {
      if (pooled.endReason === undefined) await pooled.run(this.dialect.rollback, ROLLBACK_LIMIT);
    } catch (error) {
      pooled.destroy(errorText(error));
    }
    await this.finishRolledBack(runner);
  }

  /** One query of the work's, at the moment at which it would be sent. */
  private async query<T>(query: () => Promise<T>): Promise<T> {
    return this.working.queries.run(async () => {
      this.assertOpen();
      try {
        return await this.send(query);
      } catch (error) {
        this.judge(error);
        throw error;
      }
    });
  }

  /** The answer shows that the server held the transaction when the query was sent, or later. */
  private async send<T>(query: () => Promise<T>): Promise<T> {
    const sentAt = performance.now();
    try {
      const answer = await query();
      this.workings?.renewal.heard(sentAt);
      return answer;
    } catch (error) {
      if (this.dialect.isRefusal(error)) this.workings?.renewal.heard(sentAt);
      throw error;
    }
  }

  private judge(error: unknown): void {
    if (this.workings === undefined) return;
    const { transactionDepth } = internalsOf(this.workings.runner);
    if (!this.dialect.endsTransaction(error, transactionDepth)) return;
    this.lose(`a query failed in its transaction (${errorText(error)}), which ended it`);
  }

  private async undoExclusive(undo: string, error: unknown): Promise<void> {
    const { dialect } = this;
    if (dialect.endsTransaction(error, IN_SAVEPOINT)) {
      this.lose(`the database rolled its transaction back (${errorText(error)})`);
    } else {
      await this.working.pooled.run(undo, ROLLBACK_LIMIT).catch(() => undefined);
    }
  }

  private async finishRolledBack(runner: QueryRunner): Promise<void> {
    this.finish('rolled back');
    await this.tell(runner, 'AfterTransactionRollback').catch(() => undefined);
  }

  private finish(state: 'committed' | 'rolled back'): void {
    if (this.state === 'ending') this.state = state;
    this.lossListeners.clear();
    if (this.workings === undefined) return;
    const { runner, pooled } = this.workings;
    Object.assign(internalsOf(runner), { isTransactionActive: false, transactionDepth: 0 });
    pooled.giveBack();
    this.workings = undefined;
  }

  private lose(reason: string): void {
    if (this.state !== 'open' && this.state !== 'ending') return;
    this.state = 'lost';
    this.lossReason = reason;
    this.workings?.renewal.stop();
    for (const listener of this.lossListeners) listener(reason);
    this.lossListeners.clear();
  }

  private get dialect(): Dialect {
    return this.database.dialect;
  }

  /** For errors. */
  private get naming(): { readonly key: string; readonly strategy: string } {
    return { key: this.key, strategy: this.database.strategy };
  }

  /** @throws what has become of the transaction, when it has ended. */
  private get working(): Workings {
    if (this.workings === undefined) throw this.ended();
    return this.workings;
  }

  /** Subscribers hear of the end as they do with TypeORM's own transactions. */
  private async tell(
    runner: QueryRunner,
    event: 'BeforeTransactionCommit' | 'AfterTransactionCommit' | 'AfterTransactionRollback',
  ) {
    if (this.dataSource.subscribers.length === 0) return;
    await runner.broadcaster.broadcast(event);
  }

  private async failedCommit(error: unknown): Promise<Error> {
    const { runner, pooled } = this.working;
    // A deferred constraint, for example.
    if (this.dialect.isRefusal(error)) {
      await this.finishRolledBack(runner);
      return error as Error;
    }
    pooled.destroy(errorText(error));
    // Subscribers are told neither, for nobody knows.
    this.finish('rolled back');
    return new LockLostError(
      `its connection ended during the COMMIT (${errorText(error)}), so nobody knows whether that was done`,
      { ...this.naming, cause: error },
    );
  }

  private ended(): LockLostError | LockNotOwnedError {
    if (this.state === 'lost') return this.loss();
    const { key, strategy } = this.naming;
    return new LockNotOwnedError(
      `A query came after the transaction of the lock on "${key}" had ended (it was ${this.state}), and was refused: ` +
        'what it belongs to is undone or done already. Await everything inside the locked method.',
      { key, strategy },
    );
  }

  private loss(): LockLostError {
    const { key, strategy } = this.naming;
    return new LockLostError(this.lossReason ?? 'its connection ended', { key, strategy });
  }

  private misuse(reason: string): LockConfigurationError {
    const { key, strategy } = this.naming;
    return new LockConfigurationError(
      `The transaction of the lock on "${key}" could not be committed: ${reason}.`,
      { key, strategy },
    );
  }
}

/** Milliseconds after which a connection is ended instead of waiting for its ROLLBACK: the result is the same. */
const ROLLBACK_LIMIT = 5_000;

/** Deeper than the transaction itself: our own statements run in a savepoint. */
const IN_SAVEPOINT = 2;

/** A COMMIT may have to wait for a replica. */
const SHORTEST_COMMIT_LIMIT = 10_000;
