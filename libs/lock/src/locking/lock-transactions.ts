import type { StrategyContext } from './lock-strategy.js';

/** A lock that the transaction is to be fenced by: the database refuses it once it has seen a higher token. */
export interface TransactionFence {
  readonly name: string;
  readonly token: number | undefined;
}

/** One transaction that a locked method asks for. */
export interface TransactionRequest {
  /** The data source's name; the default one when absent. */
  readonly dataSource?: string;
  readonly fences: readonly TransactionFence[];
  /** Aborted when the lock is lost: the transaction is then rolled back. */
  readonly signal: AbortSignal;
}

/**
 * Runs a locked method in a database transaction that is committed before its lock is released.
 * `typeormTransactions()` builds one.
 *
 * @publicApi
 */
export abstract class LockTransactions {
  /**
   * Begins, fences, runs the work, commits. Rolls back when the work throws or the signal aborts.
   *
   * @throws {StaleLockError} a later holder of the lock has written already.
   * @throws {LockLostError} the lock was lost before the commit.
   */
  abstract run<T>(request: TransactionRequest, work: () => Promise<T>): Promise<T>;

  /** Whether a transaction that this port knows, its own or a foreign one, is open in this async context. */
  abstract isActive(dataSource?: string): boolean;
}

/**
 * Builds the transactions of one application.
 *
 * @publicApi
 */
export type LockTransactionsFactory = (nest: StrategyContext) => LockTransactions;
