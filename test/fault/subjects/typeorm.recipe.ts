import { typeormLock } from 'nestjs-distributed-lock/typeorm';
import type { DataSource } from 'typeorm';
import { contextOf, openDataSource } from '../../support/typeorm/lock-data-source';
import type { WorkerRecipe } from '../worker/worker-plan';
import { writeLine } from './ledger';

/** Each holder adds a line to a ledger that only the lock protects. */
export const recipe: WorkerRecipe = async ([url = '']) => {
  const dataSource = await openSoon(url);
  return {
    strategy: {
      factory: typeormLock(),
      get: () => contextOf(dataSource).get(undefined),
      dispose: () => dataSource.destroy(),
    },
    work: (lease, call) => writeLine(dataSource, lease, call),
  };
};

/** A process may be started while the server is being restarted: TypeORM does not try again. */
async function openSoon(url: string): Promise<DataSource> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openDataSource(url);
    } catch (error) {
      if (attempt === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
