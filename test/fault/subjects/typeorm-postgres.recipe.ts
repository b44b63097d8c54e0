import { typeormLock } from 'nestjs-distributed-lock/typeorm';
import type { DataSource } from 'typeorm';
import { contextOf, openDataSource } from '../../support/typeorm/lock-data-source';
import type { WorkerRecipe } from '../worker/worker-plan';

/** Each holder adds a line to a ledger that only the lock protects: what two do at once gets the same place. */
export const recipe: WorkerRecipe = async ([url = '']) => {
  const dataSource = await openSoon(url);
  return {
    strategy: {
      factory: typeormLock(),
      get: () => contextOf(dataSource).get(undefined),
      dispose: () => dataSource.destroy(),
    },
    work: async ({ transaction, name, token }, call) => {
      await transaction?.run(async () => {
        const [{ place }] = await dataSource.query<[{ place: number }]>(
          'SELECT coalesce(max(place), 0)::int AS place FROM fault_ledger WHERE key = $1',
          [name],
        );
        await dataSource.query('INSERT INTO fault_ledger (key, place, token, call) VALUES ($1, $2, $3, $4)', [
          name,
          place + 1,
          token,
          call,
        ]);
      });
    },
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
