import type { EntityManager } from 'typeorm';
import { LockNotOwnedError } from '../../locking/lock-error.js';
import { guardedQueryRunner } from './guarded-query-runner.js';
import { transactionAround } from './joined-queries.js';

/**
 * The entity manager of the transaction that this call is in, for who wants it explicit: repositories, managers and query
 * builders of the data source join by themselves.
 *
 * @param dataSource the data source's name, as given to `typeormLock()` or the method's `transaction` option; the innermost
 * transaction when absent.
 * @throws {LockNotOwnedError} the call is in no such transaction, or it has ended.
 *
 * @publicApi
 */
export function currentEntityManager(dataSource?: string): EntityManager {
  const transaction = transactionAround(
    ({ dataSourceName }) => dataSource === undefined || (dataSourceName ?? 'default') === dataSource,
  );
  if (transaction === undefined) {
    throw new LockNotOwnedError(
      `currentEntityManager(${dataSource === undefined ? '' : `'${dataSource}'`}) was called outside of a locked transaction` +
        `${dataSource === undefined ? '' : ' of this data source'}. Call it in a method with a typeormLock() or with ` +
        'transaction: true, and not after it has ended.',
    );
  }
  transaction.assertOpen();
  return guardedQueryRunner(transaction).manager;
}
