import { DATABASES, LockBench, outcome } from '../../../../../test/support/typeorm/lock-bench';
import { sessionOf } from './grant.js';
import { LockDatabase } from './lock-database.js';
import { LockTransaction } from './lock-transaction.js';

describe.each(DATABASES)('a transaction of a lock on $database', ({ start }) => {
  let bench: LockBench;

  beforeAll(async () => {
    bench = await LockBench.open(start);
  });

  afterAll(() => bench.close());

  it('is lost from the first moment when its connection has ended since the begin', async () => {
    const { dataSource } = bench;
    const database = new LockDatabase({ dataSource, dataSourceName: undefined, strategy: 'typeorm' });
    const connection = await database.connect({ limit: 5_000 });
    const begin = { table: database.table, fences: [], waitTime: 0, ttl: 60_000 };
    const session = sessionOf(await connection.run(database.dialect.beginFenced(begin), 5_000));
    connection.destroy('it was cut');
    const heardAt = performance.now();
    const transaction = new LockTransaction({
      connection,
      database,
      key: 'cut',
      session,
      ttl: 60_000,
      heardAt,
    });
    const reasons: string[] = [];
    transaction.onLost((reason) => reasons.push(reason));
    expect(reasons).toEqual(['it was cut']);
    expect(transaction.isOpen).toBe(false);
    expect(transaction.remaining).toBe(0);
    expect(await outcome(transaction.commit())).toBe('LOCK_LOST');
    await transaction.rollback();
    database.close();
  });
});
