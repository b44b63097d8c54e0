import { eventually } from '../../../../../test/support/eventually';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Order, Stock } from '../../../../../test/support/typeorm/stock.entity';
import type { TransactionRequest } from '../../locking/lock-transactions.js';

function request(
  token?: number,
  name = 'stock:1',
  signal = new AbortController().signal,
): TransactionRequest {
  return { fences: token === undefined ? [] : [{ name, token }], signal };
}

describe.each(DATABASES)('typeormTransactions on $database', ({ start, database }) => {
  let bench: LockBench;

  beforeAll(async () => {
    bench = await LockBench.open(start);
  });

  beforeEach(async () => {
    await bench.dataSource.query('DELETE FROM distributed_lock');
    await bench.dataSource.query('DELETE FROM stock_order');
    await bench.dataSource.query('DELETE FROM stock');
    await bench.dataSource.getRepository(Stock).insert({ id: 1, sku: 'chair', quantity: 10 });
  });

  afterEach(() => bench.clear());

  afterAll(() => bench.close());

  const order = (buyer = 'a'): Promise<unknown> => bench.dataSource.getRepository(Order).insert({ buyer });
  const orders = (): Promise<number> => bench.dataSource.getRepository(Order).count();

  it('commits what the work wrote, and answers what it returned', async () => {
    const transactions = bench.transactions();
    const result = await transactions.run(request(), async () => {
      await order();
      expect(transactions.isActive()).toBe(true);
      return 'done';
    });
    expect(result).toBe('done');
    expect(await orders()).toBe(1);
    expect(transactions.isActive()).toBe(false);
  });

  it('undoes what the work wrote when it throws, with its error', async () => {
    const running = bench.transactions().run(request(1), async () => {
      await order();
      throw new Error('sold out');
    });
    await expect(running).rejects.toThrow('sold out');
    expect(await orders()).toBe(0);
  });

  it('refuses the token of an earlier holder, and writes nothing of it', async () => {
    const transactions = bench.transactions();
    await transactions.run(request(7), () => order('later holder'));
    const work = jest.fn(order);
    await expect(transactions.run(request(6), work)).rejects.toMatchObject({
      code: 'LOCK_STALE',
      key: 'stock:1',
    });
    expect(work).not.toHaveBeenCalled();
    await transactions.run(request(7), () => order('the same lease again'));
    await transactions.run(request(6, 'another'), () => order('another lock'));
    expect(await orders()).toBe(3);
  });

  it('does not count a token whose transaction was undone', async () => {
    const transactions = bench.transactions();
    await outcome(transactions.run(request(9), () => Promise.reject(new Error('enough'))));
    await transactions.run(request(8), () => order());
    expect(await orders()).toBe(1);
  });

  it('lets the later holder wait for the open transaction of an earlier one, and read what it wrote', async () => {
    const transactions = bench.transactions();
    const stocks = bench.dataSource.getRepository(Stock);
    const takeOne = async (): Promise<number> => {
      const stock = await stocks.findOneByOrFail({ id: 1 });
      stock.quantity -= 1;
      await stocks.save(stock);
      return stock.quantity;
    };
    let goOn: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let isInside = false;
    const first = transactions.run(request(1), async () => {
      isInside = true;
      await stopped;
      return takeOne();
    });
    await eventually('the first is inside', () => isInside);
    const second = transactions.run(request(2), takeOne);
    goOn();
    expect([await first, await second]).toEqual([9, 8]);
  });

  it('fences the whole of a read, check and write: an overtaken holder loses no update', async () => {
    const transactions = bench.transactions();
    const stocks = bench.dataSource.getRepository(Stock);
    const buy = (token: number | undefined, whenRead: () => Promise<void>): Promise<void> =>
      transactions.run(request(token), async () => {
        const stock = await stocks.findOneByOrFail({ id: 1 });
        await whenRead();
        await stocks.update({ id: 1 }, { quantity: stock.quantity - 1 });
      });
    const overtaken = async (tokens: readonly (number | undefined)[]): Promise<string> => {
      await stocks.update({ id: 1 }, { quantity: 10 });
      // The first has its lock, stops before it begins, and comes back after the second has bought.
      await buy(tokens[1], () => Promise.resolve());
      return outcome(buy(tokens[0], () => Promise.resolve()));
    };
    expect(await overtaken([1, 2])).toBe('LOCK_STALE');
    expect((await stocks.findOneByOrFail({ id: 1 })).quantity).toBe(9);
  });

  it('rolls back when the lock was lost before the commit, with the reason', async () => {
    const abort = new AbortController();
    const running = bench.transactions().run(request(1, 'stock:1', abort.signal), async () => {
      await order();
      abort.abort(new Error('lost'));
    });
    await expect(running).rejects.toMatchObject({ code: 'LOCK_LOST' });
    expect(await orders()).toBe(0);
  });

  it('does not even begin when the lock is lost already', async () => {
    const work = jest.fn(order);
    const running = bench.transactions().run(request(1, 'stock:1', AbortSignal.abort()), work);
    await expect(running).rejects.toMatchObject({ code: 'LOCK_LOST' });
    expect(work).not.toHaveBeenCalled();
  });

  it('joins a transaction of ours, and leaves the end to it', async () => {
    const transactions = bench.transactions();
    const running = transactions.run(request(1), async () => {
      await transactions.run(request(1, 'inner'), () => order());
      throw new Error('outer');
    });
    await expect(running).rejects.toThrow('outer');
    expect(await orders()).toBe(0);
  });

  it('refuses an overtaken holder inside of an open transaction, too, and lets that go on', async () => {
    const transactions = bench.transactions();
    await transactions.run(request(5, 'inner'), () => order());
    await transactions.run(request(1), async () => {
      expect(await outcome(transactions.run(request(4, 'inner'), () => order()))).toBe('LOCK_STALE');
      await order('goes on');
    });
    expect(await orders()).toBe(2);
  });

  it('joins the transaction of a database lock, whose lock is free only after its commit', async () => {
    const strategy = bench.strategy({ resources: { stock: Stock } });
    const transactions = bench.transactions();
    const lease = await strategy.acquire(wish('stock:1'));
    await lease.transaction?.run(() => transactions.run(request(), () => order()));
    const outside = await bench.openDataSource();
    expect(await outside.getRepository(Order).count()).toBe(0);
    await lease.transaction?.commit();
    await lease.release();
    expect(await orders()).toBe(1);
  });

  it('refuses a key that two strategies have locked, for their tokens can’t be compared', async () => {
    const strategy = bench.strategy();
    const transactions = bench.transactions();
    const lease = await strategy.acquire(wish('both'));
    await lease.transaction?.commit();
    await lease.release();
    expect(await outcome(transactions.run(request(1, 'both'), () => order()))).toBe('LOCK_CONFIGURATION');
    await transactions.run(request(1, 'redis'), () => order());
    expect(await outcome(strategy.acquire(wish('redis')))).toBe('LOCK_CONFIGURATION');
    expect(await orders()).toBe(1);
  });

  it('is told of the loss of its connection, and leaves a working pool', async () => {
    const dataSource = await bench.openDataSource({ poolSize: 1 });
    const transactions = bench.transactions({}, dataSource);
    const running = transactions.run(request(1), async () => {
      const sql =
        database === 'PostgreSQL' ? 'SELECT pg_backend_pid() AS id' : 'SELECT CONNECTION_ID() AS id';
      const [row] = await dataSource.query<{ id: number }[]>(sql);
      const end = database === 'PostgreSQL' ? `SELECT pg_terminate_backend(${row?.id})` : `KILL ${row?.id}`;
      await bench.dataSource.query(end);
    });
    await expect(running).rejects.toMatchObject({ code: 'LOCK_LOST' });
    expect(await dataSource.query('SELECT 1 AS one')).toHaveLength(1);
  });

  it('keeps the transaction of a method that is busy elsewhere for longer than its ttl', async () => {
    const transactions = bench.transactions({ ttl: 1_000 });
    await transactions.run(request(1), async () => {
      await order();
      await new Promise((resolve) => setTimeout(resolve, 3_000));
    });
    expect(await orders()).toBe(1);
  });

  it('says that an earlier holder is in the way for longer than we wait', async () => {
    const transactions = bench.transactions({ waitTime: 200 });
    let goOn: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let isInside = false;
    const first = transactions.run(request(1), () => {
      isInside = true;
      return stopped;
    });
    await eventually('the first is inside', () => isInside);
    expect(await outcome(transactions.run(request(2), () => order()))).toBe('LOCK_BUSY');
    goOn();
    await first;
    expect(await outcome(transactions.run(request(2), () => order()))).toBe('fine');
  });

  it('says that the database is not there', async () => {
    const dataSource = await bench.openDataSource();
    await dataSource.destroy();
    expect(await outcome(bench.transactions({}, dataSource).run(request(1), () => order()))).toBe(
      'LOCK_UNAVAILABLE',
    );
  });
});
