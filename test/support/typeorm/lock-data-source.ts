import type { StrategyContext } from 'nestjs-distributed-lock';
import { CreateDistributedLock1767225600000 } from 'nestjs-distributed-lock/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { Stock } from './stock.entity';

/** A data source on an empty database, with the lock table and one table of the application's. */
export async function openDataSource(
  url: string,
  options: Partial<Omit<DataSourceOptions, 'type'>> = {},
): Promise<DataSource> {
  const dataSource = new DataSource({
    type: new URL(url).protocol === 'postgres:' ? 'postgres' : 'mariadb',
    url,
    entities: [Stock],
    migrations: [CreateDistributedLock1767225600000],
    ...options,
  } as DataSourceOptions);
  return dataSource.initialize();
}

/** Makes what the tests need in the database. */
export async function prepareDatabase(dataSource: DataSource): Promise<void> {
  await dataSource.runMigrations();
  await dataSource.synchronize();
}

/** What a strategy is told of an application that has this data source, and nothing else. */
export function contextOf(dataSource: DataSource, strategy = 'typeorm'): StrategyContext {
  return { strategy, get: <T>() => dataSource as T };
}
