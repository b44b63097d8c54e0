import type { StrategyContext } from 'nestjs-distributed-lock';
import { CreateDistributedLock1767225600000 } from 'nestjs-distributed-lock/typeorm';
import { DataSource } from 'typeorm';
import { Order, Stock } from './stock.entity';

export interface LockDataSourceOptions {
  /** Connections in the pool. */
  readonly poolSize?: number;
  /** Further options of TypeORM's. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A data source with the entities of the tests. */
export async function openDataSource(url: string, options: LockDataSourceOptions = {}): Promise<DataSource> {
  const dataSource = new DataSource({
    type: url.startsWith('postgres') ? ('postgres' as const) : ('mariadb' as const),
    url,
    entities: [Stock, Order],
    migrations: [CreateDistributedLock1767225600000],
    poolSize: options.poolSize,
    ...options.more,
  });
  return dataSource.initialize();
}

/** Makes what the tests need in an empty database. */
export async function prepareDatabase(dataSource: DataSource): Promise<void> {
  await dataSource.runMigrations();
  await dataSource.synchronize();
}

/** What a strategy is told of an application that has this data source, and nothing else. */
export function contextOf(dataSource: DataSource, strategy = 'typeorm'): StrategyContext {
  return { strategy, get: <T>() => dataSource as T };
}
