import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { LockStrategyFactory, StrategyContext } from '../../locking/lock-strategy.js';
import { LockDatabase } from './lock-database.js';
import { TypeormLockStrategy } from './typeorm-lock.strategy.js';
import { resolveTypeormLockOptions, type TypeormLockOptions } from './typeorm-lock-options.js';

/**
 * A pessimistic lock in the application's own database: a transaction that takes the lock, runs the method, commits. Every
 * query of the method joins it, and the lock ends with the transaction, never before.
 *
 * Needs the migration {@link CreateDistributedLock1767225600000}, and PostgreSQL or MariaDB.
 *
 * @throws {LockConfigurationError} an option has a value that can't work.
 *
 * @example
 * ```ts
 * LockModule.forRoot({ strategy: typeormLock({ resources: { stock: Stock } }) })
 * ```
 *
 * @publicApi
 */
export function typeormLock(options: TypeormLockOptions = {}): LockStrategyFactory {
  const resolved = resolveTypeormLockOptions(options);
  return (nest) =>
    new TypeormLockStrategy(
      nest.strategy,
      resolved,
      () =>
        new LockDatabase({
          dataSource: findDataSource(nest, resolved.dataSource),
          dataSourceName: resolved.dataSource,
          strategy: nest.strategy,
          isolationLevel: resolved.isolationLevel,
        }),
    );
}

/**
 * @throws {LockConfigurationError} the application has no such data source.
 */
export function findDataSource(nest: StrategyContext, name: string | undefined): DataSource {
  try {
    return nest.get<DataSource>(getDataSourceToken(name));
  } catch (error) {
    const what = name === undefined ? 'no data source' : `no data source named "${name}"`;
    throw new LockConfigurationError(
      `The application has ${what}, which the lock "${nest.strategy}" needs. Import TypeOrmModule.forRoot(…)` +
        `${name === undefined ? '' : ` with name: '${name}'`}, or say with the option dataSource which one to use.`,
      { strategy: nest.strategy, cause: error },
    );
  }
}
