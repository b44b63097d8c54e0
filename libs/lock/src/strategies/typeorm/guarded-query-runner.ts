import { type QueryRunner, TransactionNotStartedError } from 'typeorm';
import { dataSourceOf } from './data-source-of.js';
import { internalsOf } from './dialect.js';
import type { LockTransaction } from './lock-transaction.js';

/**
 * A query runner for one operation inside a lock's transaction. It works on the lock's own runner and looks like any
 * other, except that it can't end what is not its own: `release` gives no connection back, a commit or rollback ends
 * only a nested transaction that it began itself, and once the lock is ending its queries are refused.
 */
export function guardedQueryRunner(transaction: LockTransaction): QueryRunner {
  const { runner: real, connection } = transaction;
  const internals = internalsOf(real);
  // TypeORM's own code runs with the facade as `this`, and finds there what differs and the real runner behind it.
  const facade = Object.create(real) as QueryRunner;
  let released = false;
  let nested = 0;

  const end = async (finish: () => Promise<void>): Promise<void> => {
    if (nested === 0) throw new TransactionNotStartedError();
    await finish();
    nested -= 1;
  };
  const commitNested = (): Promise<void> => end(() => real.commitTransaction.call(facade));
  const own = {
    release: () => {
      released = true;
      return Promise.resolve();
    },
    connect: () => Promise.resolve(connection),
    // Here for an error that is not wrapped, and once more where the query would be sent.
    query: async (...query: Parameters<QueryRunner['query']>) => {
      transaction.assertOpen();
      return real.query.apply(facade, query) as Promise<unknown>;
    },
    stream: (...stream: Parameters<QueryRunner['stream']>) =>
      transaction.stream(() => real.stream.apply(facade, stream)),
    startTransaction: async (...isolation: Parameters<QueryRunner['startTransaction']>) => {
      await real.startTransaction.apply(facade, isolation);
      nested += 1;
    },
    commitTransaction: commitNested,
    rollbackTransaction: () => end(() => real.rollbackTransaction.call(facade)),
    // TypeORM would commit the whole transaction here.
    [Symbol.asyncDispose]: async () => {
      while (nested > 0) await commitNested();
      released = true;
    },
  };
  for (const [name, value] of [
    ...Object.entries(own),
    [Symbol.asyncDispose, own[Symbol.asyncDispose]] as const,
  ]) {
    Object.defineProperty(facade, name, { value, writable: true, configurable: true });
  }
  Object.defineProperties(facade, {
    isReleased: { get: () => released || !transaction.isOpen },
    isTransactionActive: { get: () => internals.isTransactionActive, set: () => undefined },
    transactionDepth: {
      get: () => internals.transactionDepth,
      set: (depth: number) => {
        internals.transactionDepth = depth;
      },
    },
    broadcaster: { value: new (broadcasterClass(real))(facade) },
  });
  Object.defineProperty(facade, 'manager', {
    value: dataSourceOf(real).createEntityManager(facade),
    writable: true,
  });
  return facade;
}

/** TypeORM does not export the class; subscribers get their query runner and manager from it. */
function broadcasterClass(runner: QueryRunner): new (runner: QueryRunner) => QueryRunner['broadcaster'] {
  return runner.broadcaster.constructor as new (runner: QueryRunner) => QueryRunner['broadcaster'];
}
