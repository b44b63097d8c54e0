import type { QueryRunner } from 'typeorm';
import type { QueryGate } from './query-queue.js';

/**
 * What one kind of database does in its own way. Everything else about the strategy is the same for all of them.
 *
 * Every method that returns SQL returns one text with all of its statements, for a round trip costs more than they do.
 */
export interface Dialect {
  /** For messages. */
  readonly database: string;
  readonly oldestVersion: string;
  /** What is taken for such a database, and can't lock; with the reason, as a sentence. */
  readonly lookalike: string;
  /** The driver's side of a connection that a query runner of this database has. */
  connectionOf(driverConnection: unknown): DriverConnection;
  /** Creates what the lock needs, unless it is there. */
  createTable(table: LockTable): readonly string[];
  dropTable(table: LockTable): readonly string[];
  /** Fails when the table, a column or the sequence is missing or may not be used. */
  checkTable(table: LockTable): string;
  /** Begins a transaction and takes the lock in it. */
  begin(wish: LockWish): string;
  /** Takes the lock in a transaction that is open already. What fails leaves the transaction as it was: see {@link undoJoin}. */
  join(wish: LockWish): string;
  undoJoin(): string;
  /** Writes a `holdAtLeast` in a transaction of its own, so that nothing that happens to the holder undoes it. */
  reserve(wish: LockWish, holdAtLeast: number): string;
  /** Ends a `holdAtLeast` that was reserved and then not used. */
  dropReservation(table: LockTable, lock: LockIdentity, token: number): string;
  /** Begins a transaction that only fences, without a lock of its own. */
  beginFenced(options: FencedBegin): string;
  /** Writes the tokens into a transaction that is open already; see {@link undoJoin}. */
  fence(table: LockTable, fences: readonly Fence[], waitTime: number): string;
  /** Why a row of the lock table was refused: see {@link Refusal}. Leaves the transaction open. */
  explain(table: LockTable, id: string): string;
  /** Asks for the database's view of the lock: who holds it, and who waits. */
  inspect(table: LockTable, lock: LockIdentity): string;
  /** Ends the connections that hold the lock, and its `holdAtLeast`. */
  forceRelease(table: LockTable, lock: LockIdentity): string;
  /**
   * Ends, from another connection, a session of ours that waits for the lock: the server would not notice that its client
   * has gone before the wait is over. Answers a row; or none, and does nothing, when the session does anything else: it
   * may be another one by now, or a proxy has told us another number.
   */
  endWait(lock: LockIdentity, session: number): string;
  /** Deletes a small batch of rows that nobody used for this many milliseconds. */
  purge(table: LockTable, unusedFor: number): string;
  /**
   * Asks, from another connection, what the server does for a session: no row when it is gone.
   *
   * @param session - what the begin has answered: see {@link sessionOf} of a grant
   * @param age - milliseconds since then
   */
  lookAtSession(session: string, age: number): string;
  /** Changes nothing, and shows the server that the holder lives. Must work in a transaction that failed. */
  readonly ping: string;
  /** Makes the server keep a silent holder for at least this long. */
  extend(duration: number): string;
  readonly commit: string;
  readonly rollback: string;
  /** Whether the answer to {@link commit} says that everything is permanent; else, {@link uncommitted} says why not. */
  wasCommitted(results: readonly StatementResult[]): boolean;
  readonly uncommitted: string;
  /**
   * Whether the transaction, and with it the lock, is gone after this error of one of its statements.
   *
   * @param depth 1 outside of all nested transactions
   */
  endsTransaction(error: unknown, depth: number): boolean;
  /** Whether the server itself has said no to a statement, and goes on: what failed was not done then, for certain. */
  isRefusal(error: unknown): boolean;
  /** What a statement's error means for a lock. */
  failureOf(error: unknown): DatabaseFailure;
}

/** One connection, as its driver has it, behind TypeORM's back. */
export interface DriverConnection {
  /** What the server calls the connection; undefined where the driver does not know. */
  readonly session: number | undefined;
  /** Runs statements, separated by semicolons, and answers one result for each. */
  run(statements: string): Promise<readonly StatementResult[]>;
  /** Calls the listener once, when the connection has ended by itself; returns how to stop that. */
  onEnd(listener: (error: Error | undefined) => void): () => void;
  /**
   * What TypeORM is to use instead of the driver's connection: the same, but each query goes through the gate at the
   * moment at which it would be sent.
   */
  guarded(gate: QueryGate): unknown;
  /** Resolves when the connection is closed, by whomever. */
  closed(): Promise<void>;
  /** Ends the connection at once, whatever it is doing. Resolves when its pool can't take it back any more. */
  destroy(): Promise<void>;
}

export interface StatementResult {
  /** What the server says it did: `COMMIT`, `ROLLBACK`, `INSERT`. */
  readonly command: string;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Where the lock table and its sequence are: names that are quoted already. */
export interface LockTable {
  readonly path: string;
  readonly sequence: string;
}

/** What a lock is called in the database. */
export interface LockIdentity {
  readonly name: string;
  /** SHA-256 of the name, in hexadecimal digits: the primary key of the lock table. */
  readonly id: string;
  /** The first 64 bits of the same, as a signed number: the key of an advisory lock. */
  readonly advisoryKey: bigint;
}

/** The row of a mapped entity: names that are quoted, a value that is checked. */
export interface LockedRow {
  readonly tablePath: string;
  readonly column: string;
  readonly value: string;
  readonly isNumber: boolean;
  readonly mode: RowLockMode;
}

export type RowLockMode = 'pessimistic_write' | 'for_no_key_update';

export interface LockWish {
  readonly table: LockTable;
  readonly lock: LockIdentity;
  /** Absent: the lock's row in the lock table. */
  readonly row?: LockedRow;
  /** Milliseconds that the database may wait for the lock. */
  readonly waitTime: number;
  /** Milliseconds after which the server drops a silent holder. */
  readonly ttl: number;
  /** The token of a `holdAtLeast` that this very call has reserved. */
  readonly reservation?: number;
}

export interface Fence extends LockIdentity {
  readonly token: number;
}

export interface FencedBegin {
  readonly table: LockTable;
  readonly fences: readonly Fence[];
  readonly waitTime: number;
  readonly ttl: number;
}

/** Why the lock table refused a lock or a fence. */
export interface Refusal {
  /** Milliseconds that an earlier holder's `holdAtLeast` still lasts; 0 or less when that is not the reason. */
  readonly heldFor: number;
  readonly fencedBy: FencedBy;
  /** The highest token that the table has seen. */
  readonly token: number;
}

/** Where a row's tokens come from: the database's sequence, or the lease of another strategy. */
export type FencedBy = 'sequence' | 'lease';

/** What an error of the database means for a lock. */
export type DatabaseFailure =
  /** Somebody else held the lock for the whole wait time. */
  | 'busy'
  /** A deadlock: the whole transaction may be tried again. */
  | 'deadlock'
  /** The transaction reads what was before the wait: only a new transaction sees what is now. */
  | 'snapshot'
  /** The lock table is missing, is another one, or may not be used. */
  | 'schema'
  /** The server does not know what we ask for. */
  | 'unsupported'
  /** The value does not fit the column. */
  | 'value'
  /** All else: the database is not there, or can't do it now. */
  | 'unavailable';

/** What TypeORM keeps inside a query runner, and does not declare. */
export interface RunnerInternals {
  transactionDepth: number;
  isTransactionActive: boolean;
}

export function internalsOf(runner: QueryRunner): RunnerInternals {
  return runner as unknown as RunnerInternals;
}
