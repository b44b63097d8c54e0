import { eventually } from '../../../../../test/support/eventually';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Stock } from '../../../../../test/support/typeorm/stock.entity';
import type { DataSource } from 'typeorm';
import type { StrategyLease } from '../../locking/lock-strategy.js';
import { CreateDistributedLock1767225600000 } from './create-distributed-lock.migration.js';
import { DistributedLockEntity } from './distributed-lock.entity.js';
import { LockDatabase } from './lock-database.js';
import { LockTablePurge } from './lock-table-purge.js';

/** An hour less is what the session reads from then on, of a pool that has one connection. */
const CLOCK_SET_BACK: Readonly<Record<string, readonly string[]>> = {
  PostgreSQL: [
    'CREATE SCHEMA an_hour_ago',
    ...['clock_timestamp', 'statement_timestamp'].map(
      (clock) =>
        `CREATE FUNCTION an_hour_ago.${clock}() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.${clock}() - interval '1 hour' $$`,
    ),
    'SET search_path = an_hour_ago, pg_catalog, public',
  ],
  MariaDB: ['SET timestamp = unix_timestamp() - 3600'],
};

const NO_TIME_OF_DAY = [
  ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
  ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
];

const resources = { stock: Stock, sku: { entity: Stock, by: 'sku' } };

describe.each(DATABASES)('typeormLock on $database', ({ start, database }) => {
  let bench: LockBench;

  beforeAll(async () => {
    bench = await LockBench.open(start);
  });

  beforeEach(async () => {
    await bench.dataSource.getRepository(Stock).save([
      { id: 1, sku: 'chair', quantity: 10 },
      { id: 2, sku: 'a:b%c', quantity: 10 },
    ]);
  });

  afterEach(async () => {
    jest.useRealTimers();
    await bench.clear();
  });

  afterAll(() => bench.close());

  describe('a lock of the lock table', () => {
    it('keeps others out until it is released, and gives each holder a higher token', async () => {
      const strategy = bench.strategy();
      const first = await strategy.acquire(wish('report'));
      expect(await outcome(strategy.acquire(wish('report', { waitTime: 0 })))).toBe('LOCK_BUSY');
      const next = strategy.acquire(wish('report'));
      await first.release();
      const second = await next;
      expect(second.token).toBeGreaterThan(first.token ?? Infinity);
      await second.release();
    });

    it('keeps others out of other processes too', async () => {
      const here = bench.strategy();
      const there = bench.strategy({}, await bench.openDataSource());
      const lease = await here.acquire(wish('shared'));
      expect(await outcome(there.acquire(wish('shared', { waitTime: 0 })))).toBe('LOCK_BUSY');
      await lease.release();
      expect(await outcome(releaseOf(there.acquire(wish('shared', { waitTime: 0 }))))).toBe('fine');
    });

    it('grants in the order of arrival when the third of five waiters gives up', async () => {
      const strategy = bench.strategy();
      const holder = await strategy.acquire(wish('line'));
      const granted: number[] = [];
      const waiters = [1, 2, 3, 4, 5].map((place) =>
        strategy
          .acquire(wish('line', place === 3 ? { waitTime: 50 } : {}))
          .then(async (lease) => {
            granted.push(place);
            await lease.release();
          })
          .catch((error: { code: string }) => error.code),
      );
      expect(await waiters[2]).toBe('LOCK_BUSY');
      await holder.release();
      await Promise.all(waiters);
      expect(granted).toEqual([1, 2, 4, 5]);
    });

    it('gives the next holder a higher token also when its holder rolled back', async () => {
      const strategy = bench.strategy();
      const tokens: (number | undefined)[] = [];
      for (let holder = 0; holder < 4; holder += 1) {
        const lease = await strategy.acquire(wish('tokens'));
        tokens.push(lease.token);
        if (holder === 1) await lease.transaction?.commit();
        await lease.release();
      }
      expect(new Set(tokens).size).toBe(4);
      expect(tokens).toEqual([...tokens].sort((one, other) => Number(one) - Number(other)));
    });
  });

  describe('a database whose clock is set back by an hour', () => {
    it('keeps others out, and gives tokens above all that it gave before', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 1 });
      const [before, after] = [bench.strategy(), bench.strategy({}, dataSource)];
      const first = await before.acquire(wish('set-back'));
      await first.transaction?.commit();
      await first.release();
      for (const statement of CLOCK_SET_BACK[database] ?? []) await dataSource.query(statement);
      const second = await after.acquire(wish('set-back'));
      expect(await outcome(before.acquire(wish('set-back', { waitTime: 0 })))).toBe('LOCK_BUSY');
      await second.transaction?.commit();
      await second.release();
      const sql = "SELECT taken_at FROM distributed_lock WHERE name = 'set-back'";
      const [row] = await bench.dataSource.query<{ taken_at: unknown }[]>(sql);
      expect(Number(row?.taken_at)).toBeLessThan(Date.now() - 3_000_000);
      const third = await after.acquire(wish('set-back'));
      await third.release();
      expect(second.token).toBeGreaterThan(first.token ?? Infinity);
      expect(third.token).toBeGreaterThan(second.token ?? Infinity);
    });
  });

  describe('the row of an entity', () => {
    it('is locked by its primary key, and what the method writes is committed', async () => {
      const stocks = bench.dataSource.getRepository(Stock);
      const lease = await bench.strategy({ resources }).acquire(wish('stock:1'));
      await lease.transaction?.run(async () => {
        const stock = await stocks.findOneByOrFail({ id: 1 });
        stock.quantity -= 1;
        await stocks.save(stock);
        expect(await quantityOutside(1)).toBe(10);
      });
      await lease.transaction?.commit();
      await lease.release();
      expect(await quantityOutside(1)).toBe(9);
    });

    it('is locked against statements that know nothing of the lock', async () => {
      const lease = await bench.strategy({ resources }).acquire(wish('stock:1'));
      const runner = bench.dataSource.createQueryRunner();
      const nowait = 'FOR UPDATE NOWAIT';
      await runner.query('BEGIN');
      await expect(runner.query(`SELECT * FROM stock WHERE id = 1 ${nowait}`)).rejects.toThrow();
      await runner.query('ROLLBACK');
      await runner.query('BEGIN');
      expect(await runner.query(`SELECT id FROM stock WHERE id = 2 ${nowait}`)).toHaveLength(1);
      await runner.query('ROLLBACK');
      await runner.release();
      await lease.release();
    });

    it('is found by another unique column, whose value was escaped in the key', async () => {
      const strategy = bench.strategy({ resources });
      const bySku = await strategy.acquire(wish('sku:a%3Ab%25c'));
      expect(await outcome(strategy.acquire(wish('stock:2', { waitTime: 0 })))).toBe('LOCK_BUSY');
      expect(await outcome(releaseOf(strategy.acquire(wish('stock:1', { waitTime: 0 }))))).toBe('fine');
      await bySku.release();
    });

    it('is one lock, however the number is written', async () => {
      const strategy = bench.strategy({ resources });
      const lease = await strategy.acquire(wish('stock:1'));
      expect(await outcome(strategy.acquire(wish('stock:001', { waitTime: 0 })))).toBe('LOCK_BUSY');
      await lease.release();
    });

    it.each(['stock:abc', 'stock:1abc', 'stock:', 'stock', 'stock:1:2', 'stock:99999999999', 'stock:1.5'])(
      'refuses %s before the database sees it',
      async (name) => {
        const strategy = bench.strategy({ resources });
        await expect(strategy.acquire(wish(name))).rejects.toMatchObject({ code: 'LOCK_KEY', key: name });
      },
    );

    it('says so when there is no such row, and keeps no connection', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 1 });
      const strategy = bench.strategy({ resources }, dataSource);
      await expect(strategy.acquire(wish('stock:404'))).rejects.toMatchObject({
        code: 'LOCK_TARGET_NOT_FOUND',
        key: 'stock:404',
      });
      expect(await dataSource.getRepository(Stock).countBy({ id: 1 })).toBe(1);
    });

    it('has rising tokens', async () => {
      const strategy = bench.strategy({ resources });
      const first = await strategy.acquire(wish('stock:1'));
      await first.release();
      const second = await strategy.acquire(wish('stock:1'));
      await second.release();
      expect(second.token).toBeGreaterThan(first.token ?? Infinity);
    });

    it('shows after the wait what the last holder committed', async () => {
      const strategy = bench.strategy({ resources });
      const buy = async (): Promise<void> => {
        const lease = await strategy.acquire(wish('stock:1'));
        await lease.transaction?.run(() => takeOne(bench));
        await lease.transaction?.commit();
        await lease.release();
      };
      await Promise.all(Array.from({ length: 10 }, buy));
      expect(await quantityOutside(1)).toBe(0);
    });

    it('is found again when its holder deleted it and inserted it anew', async () => {
      const stocks = bench.dataSource.getRepository(Stock);
      const strategy = bench.strategy({ resources });
      const holder = await strategy.acquire(wish('stock:1'));
      const next = strategy.acquire(wish('stock:1'));
      await holder.transaction?.run(async () => {
        await stocks.delete({ id: 1 });
        await stocks.insert({ id: 1, sku: 'chair', quantity: 3 });
      });
      await holder.transaction?.commit();
      await holder.release();
      const lease = await next;
      expect(await lease.transaction?.run(() => stocks.findOneBy({ id: 1 }))).toMatchObject({ quantity: 3 });
      await lease.release();
    });

    it('lets others insert rows that refer to it when it is locked for no key update', async () => {
      if (database !== 'PostgreSQL') {
        const strategy = bench.strategy({
          resources: { stock: { entity: Stock, mode: 'for_no_key_update' } },
        });
        await expect(strategy.connect?.()).rejects.toMatchObject({ code: 'LOCK_CONFIGURATION' });
        return;
      }
      const insertOrder =
        "SET LOCAL lock_timeout = '100ms'; INSERT INTO stock_order (buyer, \"stockId\") VALUES ('x', 1)";
      const attempt = async (): Promise<string> => {
        const runner = bench.dataSource.createQueryRunner();
        await runner.query('BEGIN');
        const ended = await outcome(runner.query(insertOrder));
        await runner.query('ROLLBACK');
        await runner.release();
        return ended;
      };
      const strict = await bench.strategy({ resources }).acquire(wish('stock:1'));
      expect(await attempt()).toBe('55P03');
      await strict.release();
      const strategy = bench.strategy({ resources: { stock: { entity: Stock, mode: 'for_no_key_update' } } });
      const lenient = await strategy.acquire(wish('stock:1'));
      expect(await attempt()).toBe('fine');
      await lenient.release();
    });
  });

  describe('holdAtLeast', () => {
    it('keeps everybody out until it is over, by the clock of the database, and waiters hold no connection', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 1 });
      const strategy = bench.strategy({}, dataSource);
      const takenAt = performance.now();
      const lease = await strategy.acquire(wish('job', { holdAtLeast: 600 }));
      await lease.release();
      expect(await outcome(strategy.acquire(wish('job', { waitTime: 0 })))).toBe('LOCK_BUSY');
      const next = strategy.acquire(wish('job'));
      // The pool has one connection: whoever waits on it would keep this from being answered.
      for (let look = 0; look < 5; look += 1) await dataSource.query('SELECT 1');
      const second = await next;
      expect(performance.now() - takenAt).toBeGreaterThanOrEqual(595);
      expect(second.token).toBeGreaterThan(lease.token ?? Infinity);
      await second.release();
    });

    it.each([
      ['holder', 1],
      ['holder', -1],
      ['next', 1],
      ['next', -1],
    ])('lasts as long when the clock of the %s is wrong by %i h', async (who, hours) => {
      const [holder, next] = [bench.strategy(), bench.strategy({}, await bench.openDataSource())];
      const name = `wrong-clock-${who}-${hours}`;
      if (who === 'holder') setClock(hours);
      const takenAt = performance.now();
      await (await holder.acquire(wish(name, { holdAtLeast: 600 }))).release();
      setClock(who === 'next' ? hours : 0);
      expect(await outcome(next.acquire(wish(name, { waitTime: 0 })))).toBe('LOCK_BUSY');
      const lease = await next.acquire(wish(name));
      expect(performance.now() - takenAt).toBeGreaterThanOrEqual(595);
      await lease.release();
    });

    it('outlasts a holder that dies, or rolls back', async () => {
      const dataSource = await bench.openDataSource();
      const strategy = bench.strategy({}, dataSource);
      const lease = await strategy.acquire(wish('dead', { holdAtLeast: 60_000 }));
      await dataSource.destroy();
      await lease.release();
      const other = bench.strategy();
      expect(await outcome(other.acquire(wish('dead', { waitTime: 100 })))).toBe('LOCK_BUSY');
      expect(await other.forceRelease?.('dead')).toBe(true);
      expect(await outcome(releaseOf(other.acquire(wish('dead', { waitTime: 0 }))))).toBe('fine');
    });

    it('lets the holder itself hold longer', async () => {
      const strategy = bench.strategy();
      const lease = await strategy.acquire(wish('longer', { holdAtLeast: 50 }));
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await outcome(strategy.acquire(wish('longer', { waitTime: 0 })))).toBe('LOCK_BUSY');
      await lease.release();
      expect(await outcome(releaseOf(strategy.acquire(wish('longer', { waitTime: 0 }))))).toBe('fine');
    });

    it('lets one of several at the same moment in', async () => {
      const strategies = await Promise.all(
        [1, 2, 3].map(async () => bench.strategy({}, await bench.openDataSource({ poolSize: 4 }))),
      );
      const outcomes = await Promise.all(
        strategies.flatMap((strategy) =>
          [1, 2].map(() =>
            outcome(releaseOf(strategy.acquire(wish('tick', { waitTime: 0, holdAtLeast: 60_000 })))),
          ),
        ),
      );
      expect(outcomes.filter((one) => one === 'fine')).toHaveLength(1);
      expect(outcomes.filter((one) => one === 'LOCK_BUSY')).toHaveLength(5);
      await strategies[0]?.forceRelease?.('tick');
    });

    it('is refused for the row of an entity', async () => {
      const strategy = bench.strategy({ resources });
      await expect(strategy.acquire(wish('stock:1', { holdAtLeast: 100 }))).rejects.toMatchObject({
        code: 'LOCK_CONFIGURATION',
      });
    });
  });

  describe('looking and forcing', () => {
    it('shows the holder, and who waits', async () => {
      const strategy = bench.strategy();
      expect(await strategy.inspect?.('seen')).toEqual({ name: 'seen', held: false, waiters: [] });
      const before = Date.now();
      const lease = await strategy.acquire(wish('seen'));
      const waiting = [strategy.acquire(wish('seen')), strategy.acquire(wish('seen'))];
      await eventually('both wait', async () => (await strategy.inspect?.('seen'))?.waiters.length === 2);
      const seen = await strategy.inspect?.('seen');
      expect(seen).toMatchObject({ held: true, holder: expect.stringMatching(/session \d+/) as string });
      expect(Math.abs(Number(seen?.since) - before)).toBeLessThan(5_000);
      await lease.release();
      for (const pending of waiting) await (await pending).release();
      expect(await strategy.inspect?.('seen')).toMatchObject({ held: false, waiters: [] });
    });

    it('takes a lock away, whose holder hears of it', async () => {
      const strategy = bench.strategy({ resources });
      for (const name of ['forced', 'stock:1']) {
        expect(await strategy.forceRelease?.(name)).toBe(false);
        const lease = await strategy.acquire(wish(name));
        expect(await strategy.forceRelease?.(name)).toBe(true);
        const next = await strategy.acquire(wish(name));
        await eventually('the holder hears of it', () => lease.signal.aborted);
        expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST', key: name });
        await lease.release();
        await next.release();
      }
    });
  });

  describe('the start', () => {
    it('fails with the name of the migration when the lock table is missing, and so does each call', async () => {
      const dataSource = await bench.openDataSource();
      await dropLockTable(dataSource);
      try {
        const strategy = bench.strategy({}, dataSource);
        const missing = {
          code: 'LOCK_CONFIGURATION',
          message: expect.stringContaining('CreateDistributedLock1767225600000') as string,
        };
        await expect(strategy.connect?.()).rejects.toMatchObject(missing);
        await expect(strategy.acquire(wish('no-table'))).rejects.toMatchObject(missing);
      } finally {
        await createLockTable(dataSource);
      }
    });

    it('makes the lock table where the data source synchronizes', async () => {
      const dataSource = await bench.openDataSource({ more: { synchronize: true } });
      await dropLockTable(dataSource);
      const strategy = bench.strategy({}, dataSource);
      await strategy.connect?.();
      await (await strategy.acquire(wish('made'))).release();
    });

    it('keeps the lock table as it is where its entity is synchronized, too', async () => {
      const dataSource = await bench.openDataSource({ more: { entities: [DistributedLockEntity] } });
      const sql = await dataSource.driver.createSchemaBuilder().log();
      expect(sql.upQueries.map(({ query }) => query)).toEqual([]);
      const lease = await bench.strategy({}, dataSource).acquire(wish('entity'));
      await lease.transaction?.commit();
      await lease.release();
      expect(
        await dataSource.getRepository(DistributedLockEntity).findOneBy({ name: 'entity' }),
      ).toMatchObject({
        token: String(lease.token),
        fencedBy: 'sequence',
      });
    });

    it.each([
      ['an entity that is not the data source’s', { thing: DistributedLockEntity }, /no entity/],
      ['a column that is not unique', { stock: { entity: Stock, by: 'quantity' } }, /not unique/],
      ['a property that does not exist', { stock: { entity: Stock, by: 'name' } }, /no property "name"/],
    ])('refuses %s', async (_, wrong, message) => {
      const strategy = bench.strategy({ resources: wrong });
      await expect(strategy.connect?.()).rejects.toMatchObject({
        code: 'LOCK_CONFIGURATION',
        message: expect.stringMatching(message) as string,
      });
    });

    it('goes on without a database that is only unreachable, and calls say so', async () => {
      const dataSource = await bench.openDataSource();
      await dataSource.destroy();
      const strategy = bench.strategy({}, dataSource);
      await strategy.connect?.();
      await expect(strategy.acquire(wish('gone'))).rejects.toMatchObject({
        code: 'LOCK_UNAVAILABLE',
        key: 'gone',
      });
    });
  });

  describe('the end', () => {
    it('sends those who wait away, refuses newcomers, and waits for the holder', async () => {
      const strategy = bench.strategy();
      const lease = await strategy.acquire(wish('end'));
      const waiting = [1, 2, 3].map(() => outcome(strategy.acquire(wish('end'))));
      await eventually('they wait', async () => (await strategy.inspect?.('end'))?.waiters.length === 3);
      let drained = false;
      const draining = strategy.drain?.().then(() => {
        drained = true;
      });
      expect(await Promise.all(waiting)).toEqual(Array(3).fill('LOCK_SHUTDOWN'));
      expect(await outcome(strategy.acquire(wish('end')))).toBe('LOCK_SHUTDOWN');
      expect(drained).toBe(false);
      await lease.release();
      await draining;
    });

    it('tells each of those who wait by the key that they asked for', async () => {
      await bench.dataSource.getRepository(Stock).save({ id: 7, sku: 'lamp', quantity: 10 });
      const holder = await bench.strategy({ resources }).acquire(wish('stock:7'));
      const strategy = bench.strategy({ resources });
      const waiting = ['stock:07', 'stock:007', 'stock:0007'].map((key) =>
        strategy.acquire(wish(key)).catch((error: unknown) => error),
      );
      await eventually('they wait', async () => (await strategy.inspect?.('stock:7'))?.waiters.length === 3);
      await strategy.drain?.();
      expect(await Promise.all(waiting)).toMatchObject([
        { code: 'LOCK_SHUTDOWN', key: 'stock:07' },
        { code: 'LOCK_SHUTDOWN', key: 'stock:007' },
        { code: 'LOCK_SHUTDOWN', key: 'stock:0007' },
      ]);
      await holder.release();
    });

    it('leaves a data source that can be destroyed at once, though somebody was waiting in the database', async () => {
      const holder = await bench.strategy().acquire(wish('destroyed'));
      const dataSource = await bench.openDataSource();
      const strategy = bench.strategy({}, dataSource);
      const waiting = outcome(strategy.acquire(wish('destroyed')));
      await eventually('it waits', async () => {
        return (await bench.strategy().inspect?.('destroyed'))?.waiters.length === 1;
      });
      await strategy.drain?.();
      await strategy.close?.();
      await dataSource.destroy();
      expect(await waiting).toBe('LOCK_SHUTDOWN');
      await holder.release();
    });

    it('undoes what is still held, and takes its hand off the data source', async () => {
      const dataSource = await bench.openDataSource();
      const original = dataSource.createQueryRunner;
      const strategy = bench.strategy({}, dataSource);
      await strategy.acquire(wish('left'));
      expect(dataSource.createQueryRunner).not.toBe(original);
      await strategy.close?.();
      expect(Object.keys(dataSource)).not.toContain('createQueryRunner');
      const other = bench.strategy();
      expect(await outcome(releaseOf(other.acquire(wish('left', { waitTime: 0 }))))).toBe('fine');
    });
  });

  it('deletes rows that nobody used for long, but none that is held', async () => {
    const strategy = bench.strategy();
    await bench.dataSource.query('DELETE FROM distributed_lock');
    for (const name of ['old', 'held', 'new']) {
      const lease = await strategy.acquire(wish(name));
      await lease.transaction?.commit();
      await lease.release();
    }
    await bench.dataSource.query(
      "UPDATE distributed_lock SET taken_at = taken_at - 7200000 WHERE name <> 'new'",
    );
    const held = await strategy.acquire(wish('held'));
    const database_ = new LockDatabase({
      dataSource: bench.dataSource,
      dataSourceName: undefined,
      strategy: 'test',
    });
    await new LockTablePurge(database_, 3_600_000).purge();
    database_.close();
    await held.release();
    const names: unknown = await bench.dataSource.query('SELECT name FROM distributed_lock ORDER BY name');
    expect(names).toEqual([{ name: 'held' }, { name: 'new' }]);
  });

  async function quantityOutside(id: number): Promise<number> {
    const runner = (await bench.openDataSource({ poolSize: 1 })).createQueryRunner();
    try {
      const [row] = (await runner.query(`SELECT quantity FROM stock WHERE id = ${id}`)) as {
        quantity: number;
      }[];
      return Number(row?.quantity);
    } finally {
      await runner.release();
    }
  }
});

async function releaseOf(acquiring: Promise<StrategyLease>): Promise<void> {
  await (await acquiring).release();
}

/** Sets what this process reads as the time of day, by hours: nothing else that tells time. */
function setClock(hours: number): void {
  jest.useRealTimers();
  if (hours === 0) return;
  const now = Date.now() + hours * 3_600_000;
  jest.useFakeTimers({ now, advanceTimers: true, doNotFake: NO_TIME_OF_DAY });
}

async function takeOne(bench: LockBench): Promise<void> {
  const stocks = bench.dataSource.getRepository(Stock);
  const stock = await stocks.findOneByOrFail({ id: 1 });
  stock.quantity -= 1;
  await stocks.save(stock);
}

async function createLockTable(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  await new CreateDistributedLock1767225600000().up(runner);
  await runner.release();
}

async function dropLockTable(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  await new CreateDistributedLock1767225600000().down(runner);
  await runner.release();
}
