import type { DataSource } from 'typeorm';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { Dialect } from './dialect.js';
import { MariadbDialect } from './mariadb.dialect.js';
import { PostgresDialect } from './postgres.dialect.js';

/**
 * The dialect of a data source's database.
 *
 * @throws {LockConfigurationError} it has none that can lock.
 */
export function dialectOf(dataSource: DataSource): Dialect {
  const { type } = dataSource.options;
  if (type === 'postgres') return new PostgresDialect();
  // A data source for MySQL may be used with a MariaDB, too: the server itself is asked later.
  if (type === 'mariadb' || type === 'mysql') return new MariadbDialect();
  throw new LockConfigurationError(
    `typeormLock() and typeormTransactions() can't use a data source of type "${type}": it has no row locks that servers ` +
      'share. Use PostgreSQL or MariaDB, or another strategy: redisLock() for several servers, memoryLock() for one.',
  );
}
