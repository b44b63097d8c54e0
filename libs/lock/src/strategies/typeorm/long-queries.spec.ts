import type { DataSource } from 'typeorm';
import { TcpProxy } from '../../../../../test/fault/faults/tcp-proxy';
import { eventually } from '../../../../../test/support/eventually';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { sessionOf } from './grant.js';
import { LockDatabase } from './lock-database.js';
import type { PooledConnection } from './pooled-connection.js';

const TTL = 1_000;

describe.each(DATABASES)('a query that takes long under typeormLock on $database', ({ database, start }) => {
  const isPostgres = database === 'PostgreSQL';
  let bench: LockBench;

  beforeAll(async () => {
    bench = await LockBench.open(start);
  });

  afterEach(() => bench.clear());

  afterAll(() => bench.close());

  const sleepFor = (seconds: number): string =>
    isPostgres ? `SELECT pg_sleep(${seconds})` : `SELECT SLEEP(${seconds})`;

  it.each([
    { pool: 'its pool has a connection to spare', poolSize: 3 },
    { pool: 'it has the last connection of its pool', poolSize: 1 },
  ])('keeps the lock for three times its ttl, when $pool', async ({ poolSize }) => {
    const dataSource = await bench.openDataSource({ poolSize });
    const lease = await bench.strategy({}, dataSource).acquire(wish('long', { ttl: TTL }));
    let isRunning = true;
    let least = Infinity;
    const query = lease.transaction?.run(() => dataSource.query(sleepFor((3 * TTL) / 1_000)));
    const done = query?.finally(() => {
      isRunning = false;
    });
    const other = outcome(bench.strategy().acquire(wish('long', { waitTime: 2 * TTL })));
    await eventually('the query is answered', () => {
      least = Math.min(least, lease.remaining);
      return !isRunning;
    });
    await done;
    expect(least).toBeGreaterThan(0);
    expect(await other).toBe('LOCK_BUSY');
    expect(lease.signal.aborted).toBe(false);
    await lease.transaction?.commit();
    await lease.release();
  });

  it('ends the lock for its holder before the next one gets it, when the server has never received it', async () => {
    const { port } = new URL(bench.server.url);
    const proxy = await TcpProxy.open({ host: '127.0.0.1', port: Number(port) });
    try {
      const url = new URL(bench.server.url);
      url.port = String(proxy.port);
      const dataSource = await bench.openDataSource({ poolSize: 3, more: { url: url.href } });
      const lease = await bench.strategy({}, dataSource).acquire(wish('unheard', { ttl: TTL }));
      proxy.fallSilent();
      const query = lease.transaction?.run(() => outcome(dataSource.query('SELECT 1')));
      const next = await bench.strategy().acquire(wish('unheard', { waitTime: 20 * TTL }));
      expect(lease.remaining).toBe(0);
      await eventually('the signal aborts', () => lease.signal.aborted);
      expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
      expect(await query).not.toBe('fine');
      await lease.release();
      await next.release();
    } finally {
      proxy.speakAgain();
      await bench.clear();
      await proxy.close();
    }
  });

  describe('is looked for by another connection, which', () => {
    let dataSource: DataSource;
    let lockDatabase: LockDatabase;
    let connection: PooledConnection;
    let session: string;

    beforeEach(async () => {
      dataSource = await bench.openDataSource({ poolSize: 2 });
      lockDatabase = new LockDatabase({ dataSource, dataSourceName: undefined, strategy: 'typeorm' });
      connection = await lockDatabase.connect({ limit: 5_000 });
      session = sessionOf(await connection.run(begin(), 5_000));
    });

    afterEach(() => {
      connection.destroy('the test is over');
      lockDatabase.close();
    });

    const begin = (): string => {
      const { table, dialect } = lockDatabase;
      return dialect.beginFenced({ table, fences: [], waitTime: 0, ttl: 60_000 });
    };

    const look = (age = 0): Promise<string> => lockDatabase.look(session, age, 10_000);

    it('takes no idle session for one that works', async () => {
      await eventually('it is idle', async () => (await look()) === 'idle');
      const query = connection.run(sleepFor(20), 30_000).catch(() => undefined);
      await eventually('it works', async () => (await look()) === 'at work');
      connection.destroy('enough');
      await query;
    });

    it('sees that a transaction has ended', async () => {
      if (isPostgres) {
        // The same connection, and another transaction.
        await connection.run(lockDatabase.dialect.rollback, 5_000);
        await connection.run(begin(), 5_000);
        const query = connection.run(sleepFor(20), 30_000).catch(() => undefined);
        expect(await look()).toBe('gone');
        connection.destroy('enough');
        await query;
      }
      connection.destroy('enough');
      await eventually('it is gone', async () => (await look()) === 'gone');
    });

    it('believes nothing of a server that is younger than the transaction', async () => {
      if (isPostgres) return; // Begins are told apart by the microsecond there.
      const query = connection.run(sleepFor(20), 30_000).catch(() => undefined);
      await eventually('it works', async () => (await look()) === 'at work');
      expect(await look(24 * 60 * 60 * 1_000)).toBe('idle');
      connection.destroy('enough');
      await query;
    });
  });
});
