import { Inject, Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { getDataSourceToken } from '@nestjs/typeorm';
import { DistributedLock, ExclusiveJob, LockModule, LockService, memoryLock } from 'nestjs-distributed-lock';
import { currentEntityManager, typeormLock, typeormTransactions } from 'nestjs-distributed-lock/typeorm';
import { DataSource } from 'typeorm';
import { DATABASES, LockBench, outcome } from '../support/typeorm/lock-bench';
import { Order, Stock } from '../support/typeorm/stock.entity';

@Injectable()
class Shop {
  constructor(@Inject(getDataSourceToken()) private readonly dataSource: DataSource) {}

  @DistributedLock('stock:<id>', { waitTime: 20_000 })
  async buy(id: number): Promise<number> {
    const stocks = this.dataSource.getRepository(Stock);
    const stock = await stocks.findOneByOrFail({ id });
    if (stock.quantity === 0) throw new Error('sold out');
    await this.dataSource.getRepository(Order).insert({ buyer: 'somebody' });
    await stocks.update({ id }, { quantity: stock.quantity - 1 });
    return stock.quantity - 1;
  }

  @DistributedLock(['stock:<from>', 'stock:<to>'], { waitTime: 20_000 })
  async move(from: number, to: number): Promise<void> {
    const stocks = this.dataSource.getRepository(Stock);
    await stocks.decrement({ id: from }, 'quantity', 1);
    await stocks.increment({ id: to }, 'quantity', 1);
  }

  @DistributedLock('stock:<_id>')
  async outer(_id: number, whenInside: () => Promise<void>): Promise<void> {
    await this.inner();
    await whenInside();
  }

  @DistributedLock('report')
  async inner(): Promise<void> {
    await currentEntityManager().insert(Order, { buyer: 'report' });
  }

  @DistributedLock('plain:<id>', { strategy: 'memory', transaction: true })
  async inTransaction(id: number, whenInside: () => Promise<void>): Promise<void> {
    await this.dataSource.getRepository(Order).insert({ buyer: `plain ${id}` });
    await whenInside();
  }

  @ExclusiveJob(['job:a', 'job:b'], { holdAtLeast: 60_000 })
  async job(): Promise<string | undefined> {
    await Promise.resolve();
    return 'ran';
  }
}

describe.each(DATABASES)('locked methods of a Nest application on $database', ({ start }) => {
  let bench: LockBench;
  let applications: TestingModule[];

  beforeAll(async () => {
    bench = await LockBench.open(start);
  });

  beforeEach(async () => {
    for (const table of ['distributed_lock', 'stock_order', 'stock']) {
      await bench.dataSource.query(`DELETE FROM ${table}`);
    }
    await bench.dataSource.getRepository(Stock).insert([
      { id: 1, sku: 'chair', quantity: 10 },
      { id: 2, sku: 'table', quantity: 10 },
    ]);
    // Two servers, as far as the database can tell.
    applications = [await application(), await application()];
  });

  afterEach(async () => {
    for (const each of applications) await each.close();
    await bench.clear();
  });

  afterAll(() => bench.close());

  async function application(): Promise<TestingModule> {
    const dataSource = await bench.openDataSource({ poolSize: 6 });

    @Module({
      providers: [{ provide: getDataSourceToken(), useValue: dataSource }],
      exports: [getDataSourceToken()],
    })
    class DataSourceModule {}

    const module = await Test.createTestingModule({
      imports: [
        DataSourceModule,
        LockModule.forRoot({
          strategy: typeormLock({ resources: { stock: Stock } }),
          strategies: { memory: memoryLock() },
          transactions: typeormTransactions(),
        }),
      ],
      providers: [Shop],
    }).compile();
    return module.init();
  }

  const shops = (): readonly [Shop, Shop] => {
    const [one, other] = applications.map((each) => each.get(Shop));
    if (one === undefined || other === undefined) throw new Error('There must be two applications.');
    return [one, other];
  };

  const ordersOutside = (): Promise<number> => bench.dataSource.getRepository(Order).count();

  it('sell what there is, and no more, on two servers', async () => {
    const servers = shops();
    const sales = await Promise.all(
      Array.from({ length: 30 }, (_, buyer) => outcome(servers[buyer % 2 === 0 ? 0 : 1].buy(1))),
    );
    expect(sales.filter((sale) => sale === 'fine')).toHaveLength(10);
    expect(sales.filter((sale) => sale === 'sold out')).toHaveLength(20);
    expect(await ordersOutside()).toBe(10);
    expect(await bench.dataSource.getRepository(Stock).findOneByOrFail({ id: 1 })).toMatchObject({
      quantity: 0,
    });
  });

  it('take several locks in one order and one transaction, whatever the order that they are asked for in', async () => {
    const servers = shops();
    await Promise.all(
      Array.from({ length: 20 }, (_, turn) =>
        turn % 2 === 0 ? servers[0].move(1, 2) : servers[1].move(2, 1),
      ),
    );
    const stocks = await bench.dataSource.getRepository(Stock).find({ order: { id: 'ASC' } });
    expect(stocks.map(({ quantity }) => quantity)).toEqual([10, 10]);
  });

  it('keep a lock that was taken inside of another until the transaction has ended, on other servers too', async () => {
    const [shop] = shops();
    const elsewhere = applications[1]?.get(LockService);
    await shop.outer(1, async () => {
      expect(await elsewhere?.tryAcquire('report')).toBeNull();
      expect(await ordersOutside()).toBe(0);
    });
    const lease = await elsewhere?.tryAcquire('report');
    expect(lease).not.toBeNull();
    await lease?.release();
    expect(await ordersOutside()).toBe(1);
  });

  it('run in a transaction under the lock of any strategy, committed before the lock is released', async () => {
    const [shop] = shops();
    await shop.inTransaction(1, async () => {
      expect(await ordersOutside()).toBe(0);
    });
    expect(await ordersOutside()).toBe(1);
    await expect(shop.inTransaction(2, () => Promise.reject(new Error('enough')))).rejects.toThrow('enough');
    expect(await ordersOutside()).toBe(1);
  });

  it('run a job once, and not again for holdAtLeast, on two servers', async () => {
    const [one, other] = shops();
    const runs = await Promise.all([one.job(), other.job()]);
    expect(runs.filter((run) => run === 'ran')).toHaveLength(1);
    expect(await one.job()).toBeUndefined();
    expect(await other.job()).toBeUndefined();
  });
});
