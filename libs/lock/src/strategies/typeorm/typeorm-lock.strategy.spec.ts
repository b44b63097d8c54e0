import type { DataSource } from 'typeorm';
import type { LockRequest, LockStrategy } from '../../locking/lock-strategy.js';
import { startPostgres, type PostgresServer } from '../../../../../test/support/servers/postgres-server';
import { eventually } from '../../../../../test/support/eventually';
import {
  contextOf,
  openDataSource,
  prepareDatabase,
} from '../../../../../test/support/typeorm/lock-data-source';
import { Stock } from '../../../../../test/support/typeorm/stock.entity';
import { typeormLock } from './typeorm-lock.js';
import type { TypeormLockOptions } from './typeorm-lock-options.js';

let server: PostgresServer;
let dataSource: DataSource;
const strategies: LockStrategy[] = [];

beforeAll(async () => {
  server = await startPostgres();
  dataSource = await openDataSource(server.url, { extra: { max: 10 } } as object);
  await prepareDatabase(dataSource);
});

afterEach(async () => {
  await Promise.all(strategies.splice(0).map((strategy) => strategy.close?.()));
  await dataSource.getRepository(Stock).clear();
});

afterAll(() => dataSource.destroy());

function strategyOf(options: TypeormLockOptions = {}, source = dataSource): LockStrategy {
  const strategy = typeormLock({ resources: { stock: Stock }, ...options })(contextOf(source));
  strategies.push(strategy);
  return strategy;
}

function wish(name: string, request: Partial<LockRequest> = {}): LockRequest {
  return { name, waitTime: 5_000, ttl: 10_000, holdAtLeast: 0, ...request };
}

describe('a lock of the lock table', () => {
  it('keeps others out until it is released, and gives each holder a higher token', async () => {
    const strategy = strategyOf();
    const first = await strategy.acquire(wish('report'));
    await expect(strategy.acquire(wish('report', { waitTime: 0 }))).rejects.toMatchObject({
      code: 'LOCK_BUSY',
      key: 'report',
    });
    const next = strategy.acquire(wish('report'));
    await first.release();
    const second = await next;
    expect(second.token).toBeGreaterThan(first.token ?? Infinity);
    await second.release();
  });
});

describe('the row of an entity', () => {
  it('is locked, and what the method writes is committed', async () => {
    const stocks = dataSource.getRepository(Stock);
    await stocks.save({ id: 1, sku: 'a', quantity: 10 });
    const strategy = strategyOf();
    const lease = await strategy.acquire(wish('stock:1'));
    await lease.transaction?.run(async () => {
      const stock = await stocks.findOneByOrFail({ id: 1 });
      stock.quantity -= 1;
      await stocks.save(stock);
    });
    await lease.transaction?.commit();
    await lease.release();
    expect(await stocks.findOneByOrFail({ id: 1 })).toMatchObject({ quantity: 9 });
  });
});

it('waits', async () => {
  await eventually('x', () => true);
});
