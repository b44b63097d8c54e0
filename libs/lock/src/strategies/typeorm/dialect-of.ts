import type { DataSource } from 'typeorm';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { Dialect } from './dialect.js';
import { PostgresDialect } from './postgres.dialect.js';

/**
 * The dialect of a data source's database.
 *
 * @throws {LockConfigurationError} it has none that can lock.
 */
export function dialectOf(dataSource: DataSource): Dialect {
  const { type } = dataSource.options;
  if (type === 'postgres') return new PostgresDialect();
  throw new LockConfigurationError(
    `typeormLock() and typeormTransactions() can't use a data source of type "${type}": it has no row locks that servers ` +
      'share. Use PostgreSQL, or another strategy: redisLock() for several servers, memoryLock() for one.',
  );
}
