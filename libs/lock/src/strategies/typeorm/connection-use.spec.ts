import type { DataSource } from 'typeorm';
import { DATABASES, LockBench, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Stock } from '../../../../../test/support/typeorm/stock.entity';

const CALLERS = 200;
const POOL = 10;

describe.each(DATABASES)('the pool under typeormLock on $database', ({ start }) => {
  let bench: LockBench;

  beforeAll(async () => {
    bench = await LockBench.open(start);
    await bench.dataSource.getRepository(Stock).insert({ id: 1, sku: 'chair', quantity: CALLERS });
  });

  afterEach(() => bench.clear());

  afterAll(() => bench.close());

  it(`has free connections while ${CALLERS} callers want one row, and loses no update of it`, async () => {
    const dataSource = await bench.openDataSource({ poolSize: POOL });
    const strategy = bench.strategy({ resources: { stock: Stock } }, dataSource);
    const stocks = dataSource.getRepository(Stock);
    let inUse = 0;
    let most = 0;
    const count = watchConnections(dataSource, (now) => {
      inUse = now;
      most = Math.max(most, now);
    });
    const buy = async (): Promise<void> => {
      const lease = await strategy.acquire(wish('stock:1', { waitTime: 60_000 }));
      await lease.transaction?.run(async () => {
        const stock = await stocks.findOneByOrFail({ id: 1 });
        await stocks.update({ id: 1 }, { quantity: stock.quantity - 1 });
      });
      await lease.transaction?.commit();
      await lease.release();
    };
    await Promise.all(Array.from({ length: CALLERS }, buy));
    count();
    // The holder, the one who waits in the database, and one that is being given back meanwhile.
    expect(most).toBeLessThanOrEqual(3);
    expect(inUse).toBe(0);
    expect(await stocks.findOneByOrFail({ id: 1 })).toMatchObject({ quantity: 0 });
  });

  it('is used by no more locks than maxConnections says, whatever the keys', async () => {
    const dataSource = await bench.openDataSource({ poolSize: POOL });
    const strategy = bench.strategy({ maxConnections: 4 }, dataSource);
    let most = 0;
    const count = watchConnections(dataSource, (now) => {
      most = Math.max(most, now);
    });
    await Promise.all(
      Array.from({ length: 60 }, async (_, key) => {
        const lease = await strategy.acquire(wish(`key:${key}`, { waitTime: 60_000 }));
        await lease.release();
      }),
    );
    count();
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });
});

/** Counts the connections of the data source that are taken from its pool, by its query runners; returns how to stop. */
function watchConnections(dataSource: DataSource, onChange: (inUse: number) => void): () => void {
  let inUse = 0;
  const { driver } = dataSource;
  const original = driver.createQueryRunner.bind(driver);
  driver.createQueryRunner = (mode) => {
    const runner = original(mode);
    const connect = runner.connect.bind(runner);
    const release = runner.release.bind(runner);
    let taken: Promise<unknown> | undefined;
    runner.connect = () => {
      taken ??= (connect() as Promise<unknown>).then((connection) => {
        inUse += 1;
        onChange(inUse);
        return connection;
      });
      return taken;
    };
    runner.release = async () => {
      await release();
      if (taken === undefined) return;
      inUse -= 1;
      onChange(inUse);
    };
    return runner;
  };
  return () => {
    driver.createQueryRunner = original;
  };
}
