import { Module } from '@nestjs/common';
import type { INestApplicationContext } from '@nestjs/common';
import { LockBusyError, LockModule, LockService } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import type { TestLocks } from 'nestjs-distributed-lock/testing';
import type { Repository } from 'typeorm';
import { SoldOutException } from '../../src/stock/sold-out.exception';
import type { Stock } from '../../src/stock/stock.entity';
import type { StockService } from '../../src/stock/stock.service';
import { loaderOf } from './page';

/** Nobody listens there: an application that asked for a lock of it would get none. */
const NOWHERE = 'redis://127.0.0.1:1';

@Module({ imports: [LockModule.forRoot({ strategy: redisLock({ url: NOWHERE }) })] })
class AppModule {}

const load = loaderOf('docs/testing.md', { '../app.module': { AppModule } });

describe('the page about tests', () => {
  it('shows how to call a locked method of an object that was made by new', async () => {
    const { stockServiceOf } = load('./stock-without-locks') as {
      stockServiceOf(repository: Repository<Stock>): StockService;
    };
    const repository = { findOneBy: async () => ({ id: 1, name: 'ticket', quantity: 0 }) };
    const service = stockServiceOf(repository as unknown as Repository<Stock>);
    await expect(service.order(1, 1)).rejects.toThrow(SoldOutException);
  });

  it('shows how to start a whole application without its Redis', async () => {
    const { startForTest } = load('./start-for-test') as {
      startForTest(): Promise<{ readonly app: INestApplicationContext; readonly locks: TestLocks }>;
    };
    const { app, locks } = await startForTest();
    await expect(app.get(LockService).run('stock:1', () => 'done')).resolves.toBe('done');
    locks.beBusy('stock:1');
    await expect(app.get(LockService).run('stock:1', () => 'done')).rejects.toThrow(LockBusyError);
    await app.close();
  });

  describe('shows tests of', () => void load('./reports.spec'));
});
