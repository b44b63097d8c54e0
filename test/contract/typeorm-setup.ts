import type { StrategySetup } from 'nestjs-distributed-lock/testing';
import { typeormLock } from 'nestjs-distributed-lock/typeorm';
import { contextOf, openDataSource } from '../support/typeorm/lock-data-source';

/** The strategy on a data source of its own. */
export async function typeormSetup(url: string): Promise<StrategySetup> {
  const dataSource = await openDataSource(url);
  return {
    factory: typeormLock(),
    get: () => contextOf(dataSource).get(undefined),
    dispose: () => dataSource.destroy(),
  };
}
