import { Arena } from 'nestjs-distributed-lock/testing';
import type { DataSource } from 'typeorm';
import { eventually } from '../../../../../test/support/eventually';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Order, Stock } from '../../../../../test/support/typeorm/stock.entity';
import type { StrategyLease } from '../../locking/lock-strategy.js';
import { typeormLock } from './typeorm-lock.js';

const resources = { stock: Stock };

describe.each(DATABASES)('faults under typeormLock on $database', ({ start, database }) => {
  const isPostgres = database === 'PostgreSQL';
  let bench: LockBench;

  beforeAll(async () => {
    bench = await LockBench.open(start);
    await bench.dataSource.getRepository(Stock).insert([
      { id: 1, sku: 'chair', quantity: 10 },
      { id: 2, sku: 'table', quantity: 10 },
    ]);
  });

  beforeEach(() => bench.dataSource.query('DELETE FROM stock_order'));

  afterEach(() => bench.clear());

  afterAll(() => bench.close());

  const ordersOutside = (): Promise<number> => bench.dataSource.getRepository(Order).count();

  /** The server's number for the connection that the lease's transaction is on. */
  async function sessionOf(lease: StrategyLease, dataSource: DataSource): Promise<number> {
    const sql = isPostgres ? 'SELECT pg_backend_pid() AS id' : 'SELECT CONNECTION_ID() AS id';
    const rows = await lease.transaction?.run(() => dataSource.query<{ id: number }[]>(sql));
    return Number(rows?.[0]?.id);
  }

  /** How many sessions wait for a lock in the server. */
  async function waitingSessions(): Promise<number> {
    const sql = isPostgres
      ? 'SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted'
      : "SELECT count(*) AS waiting FROM information_schema.PROCESSLIST WHERE INFO LIKE '%FOR UPDATE'";
    const [row] = await bench.dataSource.query<{ waiting: string }[]>(sql);
    return Number(row?.waiting);
  }

  async function endSession(id: number): Promise<void> {
    await bench.dataSource.query(isPostgres ? `SELECT pg_terminate_backend(${id})` : `KILL CONNECTION ${id}`);
  }

  describe('a connection that ends under the method', () => {
    it('aborts the signal, fails its queries and its commit, and leaves a working pool', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 1 });
      const strategy = bench.strategy({ resources }, dataSource);
      const lease = await strategy.acquire(wish('stock:1'));
      await lease.transaction?.run(() => dataSource.getRepository(Order).insert({ buyer: 'a' }));
      await endSession(await sessionOf(lease, dataSource));
      await eventually('the signal aborts', () => lease.signal.aborted);
      expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST', key: 'stock:1' });
      expect(lease.remaining).toBe(0);
      const query = lease.transaction?.run(() => dataSource.getRepository(Order).insert({ buyer: 'b' }));
      expect(await outcome(query ?? Promise.resolve())).toBe('LOCK_LOST');
      expect(await outcome(lease.extend(1_000))).toBe('LOCK_LOST');
      expect(await outcome(lease.transaction?.commit() ?? Promise.resolve())).toBe('LOCK_LOST');
      await lease.release();
      expect(await ordersOutside()).toBe(0);
      const next = await strategy.acquire(wish('stock:1'));
      expect(await next.transaction?.run(() => dataSource.getRepository(Stock).countBy({ id: 1 }))).toBe(1);
      await next.release();
    });

    it('during a query rejects that query, too', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 1 });
      const lease = await bench.strategy({}, dataSource).acquire(wish('busy'));
      const session = await sessionOf(lease, dataSource);
      const sleep = isPostgres ? 'SELECT pg_sleep(30)' : 'SELECT SLEEP(30)';
      const query = lease.transaction?.run(() => dataSource.query(sleep));
      const ended = expect(query).rejects.toThrow();
      await endSession(session);
      await ended;
      await eventually('the signal aborts', () => lease.signal.aborted);
      await lease.release();
      expect(await dataSource.query('SELECT 1 AS one')).toHaveLength(1);
    });

    it('while a caller waits on it is unavailable, not busy', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 2 });
      const holder = await bench.strategy().acquire(wish('waited'));
      const waiting = outcome(bench.strategy({}, dataSource).acquire(wish('waited')));
      const sessions = isPostgres
        ? "SELECT pid AS id FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        : "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT token%FOR UPDATE'";
      let session: number | undefined;
      await eventually('it waits in the database', async () => {
        [session] = (await bench.dataSource.query<{ id: number }[]>(sessions)).map(({ id }) => Number(id));
        return session !== undefined;
      });
      await endSession(Number(session));
      expect(await waiting).toBe('LOCK_UNAVAILABLE');
      expect(holder.signal.aborted).toBe(false);
      await holder.release();
      expect(await dataSource.query('SELECT 1 AS one')).toHaveLength(1);
    });
  });

  it('gives the lock of a process that is killed to the next one at once, not when its ttl is over', async () => {
    const arena = new Arena({
      name: `typeormLock on ${database}`,
      traits: { scope: 'shared', order: 'process', fencing: true },
      create: () => typeormLock(),
      worker: {
        file: require.resolve('../../../../../test/contract/typeorm.worker'),
        execArgv: ['--import', 'tsx'],
        env: () => ({ LOCK_DATABASE_URL: bench.server.url }),
      },
    });
    const [holder] = await arena.processContenders(1);
    const grant = await holder.acquire('killed', { ttl: 60_000 });
    const waiting = bench.strategy().acquire(wish('killed', { waitTime: 30_000 }));
    await eventually('the next one waits', async () => (await waitingSessions()) > 0);
    const killedAt = performance.now();
    await holder.kill();
    const lease = await waiting;
    expect(performance.now() - killedAt).toBeLessThan(5_000);
    expect(lease.token).toBeGreaterThan(grant.token ?? Infinity);
    await lease.release();
    await arena.close();
  });

  describe('the time of a lease', () => {
    it('goes on for a holder that is busy elsewhere for three times its ttl', async () => {
      const ttl = 1_000;
      const strategy = bench.strategy({ resources });
      const lease = await strategy.acquire(wish('stock:1', { ttl }));
      const other = bench.strategy({ resources }, await bench.openDataSource());
      expect(await outcome(other.acquire(wish('stock:1', { waitTime: 3 * ttl })))).toBe('LOCK_BUSY');
      expect(lease.signal.aborted).toBe(false);
      expect(lease.remaining).toBeGreaterThan(0);
      await lease.transaction?.run(() => bench.dataSource.getRepository(Order).insert({ buyer: 'a' }));
      await lease.transaction?.commit();
      await lease.release();
      expect(await ordersOutside()).toBe(1);
    });

    it('is over when a query fails in it on PostgreSQL, and its holder hears of it', async () => {
      const dataSource = await bench.openDataSource();
      const lease = await bench.strategy({}, dataSource).acquire(wish('failed', { ttl: 1_000 }));
      await lease.transaction?.run(() => outcome(dataSource.query('SELECT * FROM no_such_table')));
      expect(lease.signal.aborted).toBe(isPostgres);
      const next = await outcome(bench.strategy().acquire(wish('failed', { waitTime: 100 })));
      expect(next).toBe(isPostgres ? 'fine' : 'LOCK_BUSY');
      const committed = await outcome(lease.transaction?.commit() ?? Promise.resolve());
      expect(committed).toBe(isPostgres ? 'LOCK_LOST' : 'fine');
      await lease.release();
      expect(await dataSource.query('SELECT 1 AS one')).toHaveLength(1);
    });

    it('is over when a query that was left behind ends the transaction under the commit', async () => {
      const dataSource = await bench.openDataSource();
      const lease = await bench.strategy({}, dataSource).acquire(wish('left-behind'));
      const other = bench.dataSource.createQueryRunner();
      await other.query('BEGIN');
      // The heavier of the two, so that MariaDB rolls the lease's transaction back, and not this one.
      for (let order = 0; order < 30; order += 1) {
        await other.query("INSERT INTO stock_order (buyer) VALUES ('other')");
      }
      await other.query('UPDATE stock SET quantity = quantity WHERE id = 2');
      const stocks = dataSource.getRepository(Stock);
      const fails = isPostgres
        ? "DO $$ BEGIN PERFORM pg_sleep(0.3); RAISE EXCEPTION 'left behind'; END $$"
        : 'UPDATE stock SET quantity = 98 WHERE id = 2';
      const left: Promise<string>[] = [];
      await lease.transaction?.run(async () => {
        await stocks.update(1, { quantity: 99 });
        left.push(outcome(dataSource.query(fails)));
        await new Promise((resolve) => setTimeout(resolve, 100));
      });
      const committed = outcome(lease.transaction?.commit() ?? Promise.resolve());
      if (!isPostgres) await other.query('UPDATE stock SET quantity = quantity + 0 WHERE id = 1');
      expect(await committed).toBe('LOCK_LOST');
      expect(lease.signal.aborted).toBe(true);
      expect(await left[0]).not.toBe('fine');
      await other.query('ROLLBACK');
      await other.release();
      await lease.release();
      expect(await stocks.findOneBy({ id: 1 })).toMatchObject({ quantity: 10 });
    });

    it('goes on when a query fails in a nested transaction', async () => {
      const dataSource = await bench.openDataSource();
      const lease = await bench.strategy({}, dataSource).acquire(wish('nested-failed', { ttl: 1_000 }));
      const nested = lease.transaction?.run(() =>
        dataSource.transaction((manager) => manager.query('SELECT * FROM no_such_table')),
      );
      await expect(nested).rejects.toThrow('no_such_table');
      const other = bench.strategy();
      expect(await outcome(other.acquire(wish('nested-failed', { waitTime: 2_000 })))).toBe('LOCK_BUSY');
      expect(lease.signal.aborted).toBe(false);
      await lease.transaction?.commit();
      await lease.release();
    });

    it('can be made longer', async () => {
      const lease = await bench.strategy().acquire(wish('longer', { ttl: 2_000 }));
      await lease.extend(60_000);
      expect(lease.remaining).toBeGreaterThan(50_000);
      await lease.extend(1_000);
      expect(lease.remaining).toBeGreaterThan(50_000);
      await lease.release();
      expect(lease.remaining).toBe(0);
      expect(await outcome(lease.extend(1_000))).toBe('LOCK_NOT_OWNED');
    });
  });

  describe('a server that is frozen', () => {
    it('is unavailable to callers, and takes the lock from its holder in time, until it goes on', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 4 });
      const strategy = bench.strategy({}, dataSource);
      const lease = await strategy.acquire(wish('frozen', { ttl: 1_000 }));
      const takenAt = performance.now();
      bench.server.pause();
      try {
        expect(await outcome(strategy.acquire(wish('other', { waitTime: 300 })))).toBe('LOCK_UNAVAILABLE');
        expect(await outcome(strategy.acquire(wish('other', { waitTime: 0 })))).toBe('LOCK_UNAVAILABLE');
        await eventually('the signal aborts', () => lease.signal.aborted);
        expect(performance.now() - takenAt).toBeLessThan(5_000);
        expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
        await lease.release();
      } finally {
        bench.server.resume();
      }
      const next = await strategy.acquire(wish('frozen'));
      await next.release();
      expect(await dataSource.query('SELECT 1 AS one')).toHaveLength(1);
    });
  });

  describe('a server that dies', () => {
    it('takes the lock from its holder, is unavailable meanwhile, and is used again when it is back', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 4 });
      const strategy = bench.strategy({}, dataSource);
      const lease = await strategy.acquire(wish('dies'));
      const waiting = [1, 2, 3].map(() => outcome(strategy.acquire(wish('dies'))));
      await eventually('they wait', async () => (await strategy.inspect?.('dies'))?.waiters.length === 3);
      await bench.server.kill();
      await eventually('the signal aborts', () => lease.signal.aborted);
      expect(await Promise.all(waiting)).toEqual(Array(3).fill('LOCK_UNAVAILABLE'));
      expect(await outcome(strategy.acquire(wish('dies')))).toBe('LOCK_UNAVAILABLE');
      await lease.release();
      await bench.server.restart();
      const next = await strategy.acquire(wish('dies'));
      await next.release();
    });

    it('gives nobody the token of a holder that died with it, though the sequence forgets it', async () => {
      if (isPostgres) await bench.dataSource.query('CHECKPOINT');
      const strategy = bench.strategy({}, await bench.openDataSource({ poolSize: 4 }));
      const dead = await strategy.acquire(wish('forgotten'));
      await bench.server.kill();
      await eventually('the signal aborts', () => dead.signal.aborted);
      await dead.release();
      await bench.server.restart();
      const next = await strategy.acquire(wish('forgotten'));
      expect(next.token).toBeGreaterThan(Number(dead.token));
      await next.release();
    });
  });

  describe('a pool without a free connection', () => {
    it('is unavailable, and gets each connection back that came too late', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 1 });
      const strategy = bench.strategy({}, dataSource);
      await strategy.connect?.();
      for (let round = 0; round < 3; round += 1) {
        const runner = dataSource.createQueryRunner();
        await runner.connect();
        expect(await outcome(strategy.acquire(wish('late', { waitTime: 50 })))).toBe('LOCK_UNAVAILABLE');
        await runner.release();
        const lease = await strategy.acquire(wish('late'));
        await lease.release();
      }
    });

    it('is busy, not unavailable, when other locks use all that locks may use', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 10 });
      const strategy = bench.strategy({ maxConnections: 2 }, dataSource);
      const leases = [await strategy.acquire(wish('a')), await strategy.acquire(wish('b'))];
      await expect(strategy.acquire(wish('c', { waitTime: 100 }))).rejects.toMatchObject({
        code: 'LOCK_BUSY',
        message: expect.stringContaining('maxConnections') as string,
      });
      const third = strategy.acquire(wish('c'));
      await leases[0]?.release();
      await (await third).release();
      await leases[1]?.release();
    });
  });

  describe('an abort', () => {
    const reason = new Error('hung up');

    it('while the lock is waited for in the database harms neither holder nor pool', async () => {
      const dataSource = await bench.openDataSource({ poolSize: 2 });
      const strategy = bench.strategy({}, dataSource);
      const holder = await bench.strategy().acquire(wish('aborted'));
      for (let round = 0; round < 3; round += 1) {
        const abort = new AbortController();
        const waiting = strategy.acquire(wish('aborted', { signal: abort.signal }));
        await eventually('it waits', async () => {
          const seen = await bench.strategy().inspect?.('aborted');
          return (seen?.waiters.length ?? 0) > 0;
        });
        abort.abort(reason);
        await expect(waiting).rejects.toBe(reason);
      }
      await holder.release();
      const next = await strategy.acquire(wish('aborted', { waitTime: 20_000 }));
      await next.release();
    });

    it('while the lock is waited for in the database leaves no session behind that waits on', async () => {
      const holder = await bench.strategy().acquire(wish('aborted'));
      const strategy = bench.strategy({}, await bench.openDataSource({ poolSize: 2 }));
      for (let call = 0; call < 10; call += 1) {
        const abort = new AbortController();
        const waiting = strategy.acquire(wish('aborted', { waitTime: 60_000, signal: abort.signal }));
        await eventually('it waits in the database', async () => (await waitingSessions()) > 0);
        abort.abort(new Error('gone'));
        expect(await outcome(waiting)).toBe('gone');
        await eventually('no session waits', async () => (await waitingSessions()) === 0);
      }
      await holder.release();
    });

    it('of a nested wait leaves the outer transaction as it was', async () => {
      const strategy = bench.strategy({ resources });
      const holder = await bench.strategy({}, await bench.openDataSource()).acquire(wish('nested'));
      const lease = await strategy.acquire(wish('stock:1'));
      await lease.transaction?.run(async () => {
        const abort = new AbortController();
        setTimeout(() => abort.abort(reason), 50);
        const waiting = strategy.acquire(wish('nested', { waitTime: 500, signal: abort.signal }));
        await expect(waiting).rejects.toBe(reason);
        await bench.dataSource.getRepository(Order).insert({ buyer: 'a' });
      });
      await lease.transaction?.commit();
      await lease.release();
      await holder.release();
      expect(await ordersOutside()).toBe(1);
    });

    it('of a nested wait lets the outer transaction be rolled back at once', async () => {
      const strategy = bench.strategy({ resources });
      const holder = await bench.strategy({}, await bench.openDataSource()).acquire(wish('nested'));
      const lease = await strategy.acquire(wish('stock:1'));
      await lease.transaction?.run(async () => {
        const abort = new AbortController();
        setTimeout(() => abort.abort(reason), 50);
        const waiting = strategy.acquire(wish('nested', { waitTime: 60_000, signal: abort.signal }));
        await expect(waiting).rejects.toBe(reason);
      });
      const endedAt = performance.now();
      await lease.release();
      expect(performance.now() - endedAt).toBeLessThan(10_000);
      await holder.release();
    });
  });

  describe('a deadlock', () => {
    it('of two that take two locks inside of each other is found by the database: one goes on', async () => {
      const cross = async (first: string, second: string, both: () => Promise<void>): Promise<string> => {
        const strategy = bench.strategy({}, await bench.openDataSource());
        const lease = await strategy.acquire(wish(first));
        const ended = await lease.transaction?.run(async () => {
          await both();
          return outcome(strategy.acquire(wish(second, { waitTime: 20_000 })));
        });
        await lease.release();
        return ended ?? 'no transaction';
      };
      let here = 0;
      const both = async (): Promise<void> => {
        here += 1;
        await eventually('both have their first', () => here === 2);
      };
      const outcomes = await Promise.all([cross('left', 'right', both), cross('right', 'left', both)]);
      expect(outcomes.sort()).toEqual(['LOCK_BUSY', 'fine']);
    });

    it('before the method has begun is tried again', async () => {
      const dataSource = await bench.openDataSource();
      const strategy = bench.strategy({ resources }, dataSource);
      // Somebody who locks the row by hand, and then wants the lock that we take before the row.
      const byHand = dataSource.createQueryRunner();
      await byHand.connect();
      const inside = bench.strategy({ resources, currentManager: () => byHand.manager }, dataSource);
      await byHand.startTransaction('READ COMMITTED');
      await byHand.query('SELECT * FROM stock WHERE id = 2 FOR UPDATE');
      const ours = strategy.acquire(wish('stock:2', { waitTime: 20_000 }));
      await eventually('we wait for the row', async () => {
        const waiting = isPostgres
          ? "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'"
          : "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT ''found''%FOR UPDATE'";
        return (await bench.dataSource.query<unknown[]>(waiting)).length > 0;
      });
      const theirs = await outcome(inside.acquire(wish('stock:2', { waitTime: 20_000 })));
      await byHand.rollbackTransaction().catch(() => undefined);
      await byHand.release();
      expect(['fine', 'LOCK_BUSY']).toContain(theirs);
      await (await ours).release();
    });

    it('in the method that ended the transaction on MariaDB lets nothing be written afterwards', async () => {
      if (isPostgres) return;
      const dataSource = await bench.openDataSource();
      const lease = await bench.strategy({ resources }, dataSource).acquire(wish('stock:1'));
      const byHand = bench.dataSource.createQueryRunner();
      await byHand.query('START TRANSACTION');
      // More to undo than the lock's transaction, so that this one is not the victim.
      await byHand.query("INSERT INTO stock_order (buyer) SELECT 'x' FROM seq_1_to_1000");
      await byHand.query('SELECT * FROM stock WHERE id = 2 FOR UPDATE');
      const late = await lease.transaction?.run(async () => {
        const waiting = dataSource.query('SELECT * FROM stock WHERE id = 2 FOR UPDATE');
        const crossing = byHand.query('SELECT * FROM stock WHERE id = 1 FOR UPDATE');
        await expect(waiting).rejects.toThrow(/[Dd]eadlock/);
        await crossing;
        return outcome(dataSource.getRepository(Order).insert({ buyer: 'late' }));
      });
      expect(late).toBe('LOCK_LOST');
      expect(lease.signal.aborted).toBe(true);
      await lease.release();
      await byHand.query('ROLLBACK');
      await byHand.release();
      expect(await ordersOutside()).toBe(0);
    });
  });

  it('tells why a commit was refused by the database', async () => {
    if (!isPostgres) return;
    await bench.dataSource.query(
      'CREATE TABLE IF NOT EXISTS deferred (stock int REFERENCES stock (id) DEFERRABLE INITIALLY DEFERRED)',
    );
    const dataSource = await bench.openDataSource();
    const heard: string[] = [];
    dataSource.subscribers.push({
      beforeTransactionCommit: () => void heard.push('before the commit'),
      afterTransactionCommit: () => void heard.push('after the commit'),
      afterTransactionRollback: () => void heard.push('after the rollback'),
    });
    const lease = await bench.strategy({}, dataSource).acquire(wish('deferred'));
    await lease.transaction?.run(() => dataSource.query('INSERT INTO deferred VALUES (404)'));
    await expect(lease.transaction?.commit()).rejects.toMatchObject({ code: '23503' });
    await lease.release();
    expect(heard).toEqual(['before the commit', 'after the rollback']);
    expect(await bench.dataSource.query('SELECT * FROM deferred')).toEqual([]);
  });
});
