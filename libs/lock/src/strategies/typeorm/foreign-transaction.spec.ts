import { Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ClsPluginTransactional, TransactionHost } from '@nestjs-cls/transactional';
import { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { ClsModule, ClsService } from 'nestjs-cls';
import type { DataSource } from 'typeorm';
import {
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  IsolationLevel,
  runInTransaction,
  StorageDriver,
} from 'typeorm-transactional';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Order, Stock } from '../../../../../test/support/typeorm/stock.entity';
import type { LockStrategy, StrategyLease } from '../../locking/lock-strategy.js';

initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });

describe.each(DATABASES)('beside other transactions on $database', ({ start }) => {
  let bench: LockBench;
  let dataSource: DataSource;

  beforeAll(async () => {
    bench = await LockBench.open(start);
  });

  beforeEach(async () => {
    await bench.dataSource.query('DELETE FROM stock_order');
    await bench.dataSource.query('DELETE FROM stock');
    await bench.dataSource.getRepository(Stock).insert({ id: 1, sku: 'chair', quantity: 10 });
    // The lock's own checks take no second connection: one is all that there is.
    dataSource = await bench.openDataSource({ poolSize: 1 });
  });

  afterEach(() => bench.clear());

  afterAll(() => bench.close());

  const ordersOutside = (): Promise<number> => bench.dataSource.getRepository(Order).count();
  const isBusyOutside = async (name: string): Promise<string> =>
    outcome(releaseOf(bench.strategy().acquire(wish(name, { waitTime: 0 }))));

  describe('of typeorm-transactional', () => {
    beforeEach(() => {
      deleteDataSourceByName('default');
      addTransactionalDataSource(dataSource);
    });

    it('a transaction inside of a lock is a savepoint of it', async () => {
      const strategy = bench.strategy({ resources: { stock: Stock } }, dataSource);
      const lease = await strategy.acquire(wish('stock:1'));
      await lease.transaction?.run(async () => {
        await runInTransaction(() => dataSource.getRepository(Order).insert({ buyer: 'kept' }));
        const failing = runInTransaction(async () => {
          await dataSource.getRepository(Order).insert({ buyer: 'undone' });
          throw new Error('enough');
        });
        await expect(failing).rejects.toThrow('enough');
        expect(await ordersOutside()).toBe(0);
      });
      await lease.transaction?.commit();
      await lease.release();
      expect(await bench.dataSource.getRepository(Order).find()).toMatchObject([{ buyer: 'kept' }]);
    });

    it('a lock inside of a transaction is held until that has ended', async () => {
      const strategy = bench.strategy({}, dataSource);
      await strategy.connect?.();
      await runInTransaction(async () => {
        await lockAndOrder(strategy, dataSource);
        expect(await ordersOutside()).toBe(0);
        expect(await isBusyOutside('inside')).toBe('LOCK_BUSY');
      });
      expect(await ordersOutside()).toBe(1);
      expect(await isBusyOutside('inside')).toBe('fine');
    });

    it('a lock that is busy leaves the transaction around it as it was', async () => {
      const strategy = bench.strategy({}, dataSource);
      await strategy.connect?.();
      const holder = await bench.strategy().acquire(wish('taken'));
      await runInTransaction(async () => {
        await dataSource.getRepository(Order).insert({ buyer: 'a' });
        expect(await outcome(strategy.acquire(wish('taken', { waitTime: 100 })))).toBe('LOCK_BUSY');
        await dataSource.getRepository(Order).insert({ buyer: 'b' });
      });
      await holder.release();
      expect(await ordersOutside()).toBe(2);
    });

    it('a lock refuses a transaction that would read what was before the lock', async () => {
      const strategy = bench.strategy({ resources: { stock: Stock } }, dataSource);
      await strategy.connect?.();
      const others = bench.strategy({ resources: { stock: Stock } });
      const sell = async (): Promise<void> => {
        const lease = await others.acquire(wish('stock:1'));
        await lease.transaction?.run(() =>
          bench.dataSource.getRepository(Stock).decrement({ id: 1 }, 'quantity', 1),
        );
        await lease.transaction?.commit();
        await lease.release();
      };
      await sell();
      const inside = runInTransaction(
        async () => {
          const { quantity } = await dataSource.getRepository(Stock).findOneByOrFail({ id: 1 });
          await sell();
          const refused = await outcome(strategy.acquire(wish('stock:1')));
          const again = await dataSource.getRepository(Stock).findOneByOrFail({ id: 1 });
          // The very thing that the refusal saves from.
          expect(again.quantity).toBe(quantity);
          return refused;
        },
        { isolationLevel: IsolationLevel.REPEATABLE_READ },
      );
      expect(await inside).toBe('LOCK_CONFIGURATION');
    });

    it('a lock accepts a transaction that has not read yet at the default level', async () => {
      const strategy = bench.strategy({ resources: { stock: Stock } }, dataSource);
      await strategy.connect?.();
      await runInTransaction(async () => {
        const lease = await strategy.acquire(wish('stock:1'));
        expect(lease.remaining).toBe(Infinity);
        await lease.transaction?.commit();
        await lease.release();
        expect(lease.remaining).toBe(0);
      });
    });

    it('transaction: true joins the transaction around it', async () => {
      const transactions = bench.transactions({}, dataSource);
      const failing = runInTransaction(async () => {
        expect(transactions.isActive()).toBe(true);
        const request = { fences: [], signal: new AbortController().signal };
        await transactions.run(request, () => dataSource.getRepository(Order).insert({ buyer: 'a' }));
        throw new Error('outer');
      });
      await expect(failing).rejects.toThrow('outer');
      expect(await ordersOutside()).toBe(0);
    });
  });

  describe('of @nestjs-cls/transactional', () => {
    let application: TestingModule;
    let host: TransactionHost<TransactionalAdapterTypeOrm>;
    let cls: ClsService;

    beforeEach(async () => {
      const DATA_SOURCE = 'the data source';
      @Module({ providers: [{ provide: DATA_SOURCE, useValue: dataSource }], exports: [DATA_SOURCE] })
      class DataSourceModule {}

      application = await Test.createTestingModule({
        imports: [
          ClsModule.forRoot({
            plugins: [
              new ClsPluginTransactional({
                imports: [DataSourceModule],
                adapter: new TransactionalAdapterTypeOrm({ dataSourceToken: DATA_SOURCE }),
              }),
            ],
          }),
        ],
      }).compile();
      host = application.get(TransactionHost);
      cls = application.get(ClsService);
    });

    afterEach(() => application.close());

    it('a transaction inside of a lock is a savepoint of it', async () => {
      const strategy = bench.strategy({}, dataSource);
      const lease = await strategy.acquire(wish('outside'));
      await lease.transaction?.run(() =>
        cls.run(async () => {
          await host.withTransaction(async () => {
            await host.tx.getRepository(Order).insert({ buyer: 'a' });
          });
        }),
      );
      expect(await ordersOutside()).toBe(0);
      await lease.transaction?.commit();
      await lease.release();
      expect(await ordersOutside()).toBe(1);
    });

    it('a lock inside of a transaction is held until that has ended', async () => {
      const strategy = bench.strategy({ currentManager: () => host.tx }, dataSource);
      await cls.run(async () => {
        await strategy.connect?.();
        await host.withTransaction(async () => {
          const lease = await strategy.acquire(wish('inside'));
          await lease.transaction?.run(() => host.tx.getRepository(Order).insert({ buyer: 'a' }));
          await lease.transaction?.commit();
          await lease.release();
          expect(await ordersOutside()).toBe(0);
          expect(await isBusyOutside('inside')).toBe('LOCK_BUSY');
        });
      });
      expect(await ordersOutside()).toBe(1);
      expect(await isBusyOutside('inside')).toBe('fine');
    });
  });
});

async function lockAndOrder(strategy: LockStrategy, dataSource: DataSource): Promise<void> {
  const lease = await strategy.acquire(wish('inside'));
  await lease.transaction?.run(() => dataSource.getRepository(Order).insert({ buyer: 'a' }));
  await lease.transaction?.commit();
  await lease.release();
}

async function releaseOf(acquiring: Promise<StrategyLease>): Promise<void> {
  await (await acquiring).release();
}
