import type { Readable } from 'node:stream';
import {
  type DataSource,
  type EntityManager,
  EntitySubscriberInterface,
  EventSubscriber,
  type InsertEvent,
} from 'typeorm';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Order, Stock } from '../../../../../test/support/typeorm/stock.entity';
import type { StrategyLease } from '../../locking/lock-strategy.js';
import { currentEntityManager } from './current-entity-manager.js';

/** Writes a row of its own whenever an order is inserted. */
@EventSubscriber()
class OrderSubscriber implements EntitySubscriberInterface<Order> {
  listenTo(): typeof Order {
    return Order;
  }

  async afterInsert({ manager, entity }: InsertEvent<Order>): Promise<void> {
    if (entity.buyer === 'watched') await manager.insert(Order, { buyer: 'by the subscriber' });
  }
}

/** What adds one order, in a way of its own. */
type Write = (parts: { dataSource: DataSource; early: EarlyObjects }) => Promise<unknown>;

/** Made before any lock was taken, as injected repositories are. */
interface EarlyObjects {
  readonly orders: ReturnType<typeof earlyObjects>['orders'];
  readonly custom: ReturnType<typeof earlyObjects>['custom'];
  readonly manager: EntityManager;
}

function earlyObjects(dataSource: DataSource) {
  const orders = dataSource.getRepository(Order);
  const custom = orders.extend({
    order(buyer: string) {
      return this.insert({ buyer });
    },
  });
  return { orders, custom, manager: dataSource.manager };
}

const WRITES: Readonly<Record<string, Write>> = {
  'a repository made before the lock': ({ early }) => early.orders.save({ buyer: 'a' }),
  'a repository made inside of it': ({ dataSource }) =>
    dataSource.getRepository(Order).insert({ buyer: 'a' }),
  'a custom repository': ({ early }) => early.custom.order('a'),
  'the default manager': ({ early }) => early.manager.save(Order, { buyer: 'a' }),
  'the manager’s own query': ({ early }) =>
    early.manager.query("INSERT INTO stock_order (buyer) VALUES ('a')"),
  'a query builder of a repository': ({ early }) =>
    early.orders.createQueryBuilder().insert().values({ buyer: 'a' }).execute(),
  'a query builder of the data source': ({ dataSource }) =>
    dataSource.createQueryBuilder().insert().into(Order).values({ buyer: 'a' }).execute(),
  'dataSource.query': ({ dataSource }) => dataSource.query("INSERT INTO stock_order (buyer) VALUES ('a')"),
  'the tag dataSource.sql': ({ dataSource }) => dataSource.sql`INSERT INTO stock_order (buyer) VALUES ('a')`,
  'active record': () => Object.assign(new Order(), { buyer: 'a' }).save(),
  'active record’s static methods': () => Order.insert({ buyer: 'a' }),
  'an upsert': ({ early }) => early.orders.upsert({ id: 1_000, buyer: 'a' }, ['id']),
  'dataSource.transaction': ({ dataSource }) =>
    dataSource.transaction((manager) => manager.insert(Order, { buyer: 'a' })),
  'manager.transaction': ({ early }) =>
    early.manager.transaction((manager) => manager.getRepository(Order).insert({ buyer: 'a' })),
  'a transaction in a transaction': ({ dataSource }) =>
    dataSource.transaction((manager) => manager.transaction((inner) => inner.insert(Order, { buyer: 'a' }))),
  'a query runner of its own': async ({ dataSource }) => {
    const runner = dataSource.createQueryRunner();
    await runner.connect();
    await runner.startTransaction();
    await runner.manager.insert(Order, { buyer: 'a' });
    await runner.commitTransaction();
    await runner.release();
  },
  'a query runner with await using': async ({ dataSource }) => {
    await using runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Order, { buyer: 'a' });
  },
  'many at once': ({ early }) => Promise.all([1, 2, 3, 4].map(() => early.orders.insert({ buyer: 'a' }))),
};

describe.each(DATABASES)('queries inside a lock on $database', ({ start, database }) => {
  let bench: LockBench;
  let outside: DataSource;
  let dataSource: DataSource;

  beforeAll(async () => {
    bench = await LockBench.open(start);
    outside = bench.dataSource;
  });

  beforeEach(async () => {
    await outside.query('DELETE FROM stock_order');
    await outside.query('DELETE FROM stock');
    await outside.getRepository(Stock).insert({ id: 1, sku: 'chair', quantity: 10 });
    // Two connections: what does not join finds one, and shows.
    dataSource = await bench.openDataSource({ poolSize: 3, more: { subscribers: [OrderSubscriber] } });
  });

  afterEach(() => bench.clear());

  afterAll(() => bench.close());

  const lock = (name = 'stock:1'): Promise<StrategyLease> =>
    bench.strategy({ resources: { stock: Stock } }, dataSource).acquire(wish(name));
  const ordersOutside = (): Promise<number> => outside.getRepository(Order).count();

  it.each(Object.entries(WRITES))('join by %s: undone by a rollback, kept by a commit', async (_, write) => {
    const early = earlyObjects(dataSource);
    for (const kept of [false, true]) {
      const lease = await lock();
      await lease.transaction?.run(async () => {
        await write({ dataSource, early });
        expect(await early.orders.count()).toBeGreaterThan(0);
        expect(await ordersOutside()).toBe(0);
      });
      if (kept) await lease.transaction?.commit();
      await lease.release();
      expect((await ordersOutside()) > 0).toBe(kept);
    }
  });

  it('join by what subscribers, lazy relations and streams do', async () => {
    const lease = await lock();
    await lease.transaction?.run(async () => {
      const orders = dataSource.getRepository(Order);
      const order = orders.create({ buyer: 'watched' });
      order.stock = Promise.resolve(await dataSource.getRepository(Stock).findOneByOrFail({ id: 1 }));
      await orders.save(order);
      expect(await orders.countBy({ buyer: 'by the subscriber' })).toBe(1);
      const stock = await dataSource.getRepository(Stock).findOneByOrFail({ id: 1 });
      expect(await stock.orders).toHaveLength(1);
      const stream = (await orders.createQueryBuilder('o').stream()) as unknown as Readable;
      let rows = 0;
      for await (const row of stream) rows += row === undefined ? 0 : 1;
      expect(rows).toBe(2);
    });
    expect(await ordersOutside()).toBe(0);
    await lease.release();
    expect(await ordersOutside()).toBe(0);
  });

  it('undo only themselves in a nested transaction that fails', async () => {
    const lease = await lock();
    await lease.transaction?.run(async () => {
      await dataSource.getRepository(Order).insert({ buyer: 'stays' });
      const nested = dataSource.transaction(async (manager) => {
        await manager.insert(Order, { buyer: 'goes' });
        throw new Error('enough');
      });
      await expect(nested).rejects.toThrow('enough');
    });
    await lease.transaction?.commit();
    await lease.release();
    expect(await outside.getRepository(Order).find()).toMatchObject([{ buyer: 'stays' }]);
  });

  it('use one connection, so that a pool of one is enough, nested locks included', async () => {
    const single = await bench.openDataSource({ poolSize: 1 });
    const strategy = bench.strategy({ resources: { stock: Stock } }, single);
    await strategy.connect?.();
    const lease = await strategy.acquire(wish('stock:1'));
    await lease.transaction?.run(async () => {
      const nested = await strategy.acquire(wish('inner'));
      await nested.transaction?.run(() => single.getRepository(Order).insert({ buyer: 'a' }));
      await nested.transaction?.commit();
      await nested.release();
    });
    expect(await ordersOutside()).toBe(0);
    await lease.transaction?.commit();
    await lease.release();
    expect(await ordersOutside()).toBe(1);
  });

  it('of a nested lock keep it until the outer transaction ended', async () => {
    const strategy = bench.strategy({ resources: { stock: Stock } }, dataSource);
    const other = bench.strategy({}, outside);
    const lease = await strategy.acquire(wish('stock:1'));
    await lease.transaction?.run(async () => {
      const nested = await strategy.acquire(wish('inner'));
      expect(nested.token).toBeDefined();
      await nested.release();
    });
    expect(await outcome(other.acquire(wish('inner', { waitTime: 100 })))).toBe('LOCK_BUSY');
    await lease.transaction?.commit();
    await lease.release();
    expect(await outcome(other.acquire(wish('inner', { waitTime: 0 })))).toBe('fine');
  });

  it('go on in the transaction when a nested lock is busy', async () => {
    const strategy = bench.strategy({ resources: { stock: Stock } }, dataSource);
    const holder = await bench.strategy({}, outside).acquire(wish('inner'));
    const lease = await strategy.acquire(wish('stock:1'));
    await lease.transaction?.run(async () => {
      const orders = dataSource.getRepository(Order);
      await orders.insert({ buyer: 'before' });
      const [nested] = await Promise.all([
        outcome(strategy.acquire(wish('inner', { waitTime: 200 }))),
        ...[1, 2, 3].map(() => orders.insert({ buyer: 'meanwhile' })),
      ]);
      expect(nested).toBe('LOCK_BUSY');
      expect(await outcome(strategy.acquire(wish('stock:404')))).toBe('LOCK_TARGET_NOT_FOUND');
      await orders.insert({ buyer: 'after' });
    });
    await lease.transaction?.commit();
    await lease.release();
    await holder.release();
    expect(await ordersOutside()).toBe(5);
  });

  it('of another data source stay outside', async () => {
    const lease = await lock();
    await lease.transaction?.run(() => outside.getRepository(Order).insert({ buyer: 'a' }));
    await lease.release();
    expect(await ordersOutside()).toBe(1);
  });

  it('of two data sources join the transaction of each', async () => {
    const second = await bench.openDataSource();
    const strategies = [bench.strategy({}, dataSource), bench.strategy({}, second)] as const;
    const first = await strategies[0].acquire(wish('one'));
    await first.transaction?.run(async () => {
      const inner = await strategies[1].acquire(wish('two'));
      await inner.transaction?.run(async () => {
        await dataSource.getRepository(Order).insert({ buyer: 'first' });
        await second.getRepository(Order).insert({ buyer: 'second' });
      });
      await inner.transaction?.commit();
      await inner.release();
      expect(await outside.getRepository(Order).find()).toMatchObject([{ buyer: 'second' }]);
    });
    await first.release();
    expect(await ordersOutside()).toBe(1);
  });

  it('have the entity manager of the transaction by name, too', async () => {
    expect(() => currentEntityManager()).toThrow(
      expect.objectContaining({ code: 'LOCK_NOT_OWNED' }) as Error,
    );
    const lease = await lock();
    await lease.transaction?.run(async () => {
      await currentEntityManager().insert(Order, { buyer: 'a' });
      await currentEntityManager('default').insert(Order, { buyer: 'a' });
      expect(() => currentEntityManager('other')).toThrow(
        expect.objectContaining({ code: 'LOCK_NOT_OWNED' }) as Error,
      );
    });
    await lease.release();
    expect(await ordersOutside()).toBe(0);
  });

  describe('that were left behind', () => {
    it('by a rollback are refused, and never reach the database', async () => {
      for (let round = 0; round < 10; round += 1) {
        const lease = await lock();
        const late: Promise<string>[] = [];
        const failing = lease.transaction?.run(async () => {
          const orders = dataSource.getRepository(Order);
          const sibling = async (delay: number): Promise<void> => {
            for (let turn = 0; turn < delay; turn += 1) await orders.count();
            await orders.insert({ buyer: 'late' });
            await orders.insert({ buyer: 'later' });
          };
          const failure = orders.count().then(() => Promise.reject(new Error('sold out')));
          const siblings = [0, 1, 2, 3].map((delay) => sibling(delay));
          late.push(...siblings.map(outcome));
          await Promise.all([failure, ...siblings]);
        });
        await expect(failing).rejects.toThrow('sold out');
        await lease.release();
        expect(await Promise.all(late)).toContain('LOCK_NOT_OWNED');
        expect(await ordersOutside()).toBe(0);
      }
    });

    it('by a commit run outside of it', async () => {
      const lease = await lock();
      let late: Promise<unknown> | undefined;
      let goOn: () => void = () => undefined;
      await lease.transaction?.run(async () => {
        const committed = new Promise<void>((resolve) => {
          goOn = resolve;
        });
        late = committed.then(() => dataSource.getRepository(Order).insert({ buyer: 'late' }));
        await dataSource.getRepository(Order).insert({ buyer: 'in time' });
      });
      await lease.transaction?.commit();
      await lease.release();
      goOn();
      await late;
      expect(await ordersOutside()).toBe(2);
    });

    it('in a stream that nobody reads keep no commit waiting', async () => {
      const lease = await lock();
      await lease.transaction?.run(async () => {
        await dataSource
          .getRepository(Order)
          .insert(Array.from({ length: 500 }, () => ({ buyer: 'x'.repeat(60) })));
        await dataSource.getRepository(Order).createQueryBuilder('o').stream();
      });
      await lease.transaction?.commit();
      await lease.release();
      expect(await ordersOutside()).toBe(500);
      expect(await dataSource.getRepository(Order).count()).toBe(500);
    });
  });

  describe('that break the transaction', () => {
    it('make the commit fail when a nested transaction was left open', async () => {
      const lease = await lock();
      await lease.transaction?.run(async () => {
        const runner = dataSource.createQueryRunner();
        await runner.startTransaction();
        await runner.manager.insert(Order, { buyer: 'a' });
      });
      await expect(lease.transaction?.commit()).rejects.toMatchObject({ code: 'LOCK_CONFIGURATION' });
      await lease.release();
      expect(await ordersOutside()).toBe(0);
    });

    it('can’t end what they did not begin', async () => {
      const lease = await lock();
      await lease.transaction?.run(async () => {
        const runner = dataSource.createQueryRunner();
        await expect(runner.commitTransaction()).rejects.toThrow('Transaction is not started');
        await expect(runner.rollbackTransaction()).rejects.toThrow('Transaction is not started');
        await runner.release();
        await dataSource.getRepository(Order).insert({ buyer: 'a' });
      });
      expect(await ordersOutside()).toBe(0);
      await lease.transaction?.commit();
      await lease.release();
      expect(await ordersOutside()).toBe(1);
    });

    it('make the commit fail when their error was swallowed, or change nothing', async () => {
      const lease = await lock();
      await lease.transaction?.run(async () => {
        await dataSource.getRepository(Order).insert({ buyer: 'a' });
        await dataSource.query('SELECT * FROM no_such_table').catch(() => undefined);
      });
      const committed = await outcome(lease.transaction?.commit() ?? Promise.resolve());
      await lease.release();
      // PostgreSQL undoes everything, MariaDB only the statement: never a commit that was none.
      expect(committed).toBe(database === 'PostgreSQL' ? 'LOCK_LOST' : 'fine');
      expect(await ordersOutside()).toBe(database === 'PostgreSQL' ? 0 : 1);
    });

    it('are told when a statement ended the transaction in silence', async () => {
      if (database === 'PostgreSQL') return;
      const lease = await lock();
      await lease.transaction?.run(async () => {
        await dataSource.getRepository(Order).insert({ buyer: 'a' });
        await dataSource.query('CREATE OR REPLACE TABLE silent (id int)');
      });
      await expect(lease.transaction?.commit()).rejects.toMatchObject({ code: 'LOCK_CONFIGURATION' });
      await lease.release();
    });

    it('get the settings of their connection back', async () => {
      const single = await bench.openDataSource({ poolSize: 1 });
      const settings =
        database === 'PostgreSQL'
          ? "SELECT current_setting('lock_timeout') AS a, current_setting('statement_timeout') AS b, current_setting('idle_in_transaction_session_timeout') AS c"
          : 'SELECT @@innodb_lock_wait_timeout AS a, @@max_statement_time AS b, @@idle_transaction_timeout AS c';
      const limits = await single.query<{ a: unknown; b: unknown }[]>(settings);
      const strategy = bench.strategy({}, single);
      const lease = await strategy.acquire(wish('settings', { waitTime: 3_000 }));
      await lease.transaction?.run(async () => {
        const [inside] = await single.query<{ a: unknown; b: unknown }[]>(settings);
        expect({ a: inside?.a, b: inside?.b }).toEqual({ a: limits[0]?.a, b: limits[0]?.b });
      });
      await lease.transaction?.commit();
      await lease.release();
      expect(await single.query(settings)).toEqual(limits);
    });
  });
});
