import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, QueryRunner, ReplicationMode } from 'typeorm';
import { guardedQueryRunner } from './guarded-query-runner.js';
import type { LockTransaction } from './lock-transaction.js';

/** The open transactions around a call, the innermost first: one for each data source at most counts. */
interface TransactionScope {
  readonly transaction: LockTransaction;
  readonly outer: TransactionScope | undefined;
}

const scopes = new AsyncLocalStorage<TransactionScope>();

/** Runs work whose queries join the transaction, without anything said in its code. */
export function runJoined<T>(transaction: LockTransaction, work: () => Promise<T>): Promise<T> {
  return scopes.run({ transaction, outer: scopes.getStore() }, work);
}

/** The transaction of ours around this call, whatever became of it. */
export function transactionAround(
  matches: (transaction: LockTransaction) => boolean,
): LockTransaction | undefined {
  for (let scope = scopes.getStore(); scope !== undefined; scope = scope.outer) {
    if (matches(scope.transaction)) return scope.transaction;
  }
  return undefined;
}

/** The transaction of ours around this call, while it is open. */
export function openTransactionOf(dataSource: DataSource): LockTransaction | undefined {
  const transaction = transactionAround((candidate) => candidate.dataSource === dataSource);
  return transaction?.isOpen ? transaction : undefined;
}

/**
 * Makes the queries of everything that belongs to the data source join: repositories, managers, query builders,
 * subscribers and lazy relations all ask the data source for a query runner at the moment of the query. (An accessor on
 * `dataSource.manager` instead reaches fewer of them, and repositories that are first made inside a lock would keep its
 * connection.)
 *
 * @returns how to take it back, once for each call.
 */
export function joinQueries(dataSource: DataSource): () => void {
  const joined: JoinedDataSource = dataSource;
  const join = joined[JOIN] ?? installJoin(joined);
  join.users += 1;
  let taken = false;
  return () => {
    if (taken) return;
    taken = true;
    join.users -= 1;
    if (join.users === 0) removeJoin(joined, join);
  };
}

/** A query runner with a connection of its own, also inside a transaction. */
export function createUnjoinedRunner(dataSource: DataSource): QueryRunner {
  const join = (dataSource as JoinedDataSource)[JOIN];
  return join === undefined ? dataSource.createQueryRunner() : join.original('master');
}

const JOIN = Symbol.for('nestjs-distributed-lock:joined-queries');

interface Join {
  readonly original: (mode?: ReplicationMode) => QueryRunner;
  readonly replacement: (mode?: ReplicationMode) => QueryRunner;
  users: number;
}

type JoinedDataSource = DataSource & { [JOIN]?: Join };

function installJoin(dataSource: JoinedDataSource): Join {
  const original = dataSource.createQueryRunner.bind(dataSource);
  const replacement = (mode?: ReplicationMode): QueryRunner => {
    const transaction = transactionAround((candidate) => candidate.dataSource === dataSource);
    // Whoever was left behind after a commit works on outside; after a rollback it must not write what was undone.
    if (transaction === undefined || transaction.isCommitted) return original(mode);
    transaction.assertOpen();
    return guardedQueryRunner(transaction);
  };
  const join: Join = { original, replacement, users: 0 };
  const hidden = { configurable: true, writable: true, enumerable: false };
  Object.defineProperty(dataSource, 'createQueryRunner', { ...hidden, value: replacement });
  Object.defineProperty(dataSource, JOIN, { ...hidden, value: join });
  return join;
}

/** Another library may have replaced the method after us: then ours stays below it, where it changes nothing any more. */
function removeJoin(dataSource: JoinedDataSource, join: Join): void {
  if (dataSource.createQueryRunner !== join.replacement) return;
  Object.defineProperty(dataSource, 'createQueryRunner', {
    configurable: true,
    writable: true,
    enumerable: false,
    value: join.original,
  });
  delete dataSource[JOIN];
}
