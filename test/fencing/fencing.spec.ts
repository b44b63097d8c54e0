import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';
import { type RedisServer, startRedis } from '../support/servers/redis-server';
import { DATABASES, type DatabaseServer } from '../support/typeorm/lock-bench';
import { openDataSource, prepareDatabase } from '../support/typeorm/lock-data-source';
import { Stock } from '../support/typeorm/stock.entity';
import { Buyer } from './buyer';

const TTL = 1_000;

/** Redis does the waiting, the database has the last word: the very accidents that fencing is for. */
describe.each(DATABASES)('two buyers with a Redis lock, and $database', ({ start }) => {
  let redis: RedisServer;
  let server: DatabaseServer;
  let dataSource: DataSource;
  let buyers: Buyer[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    server = await start();
    dataSource = await openDataSource(server.url);
    await prepareDatabase(dataSource);
  });

  beforeEach(async () => {
    await dataSource.query('DELETE FROM distributed_lock');
    await dataSource.getRepository(Stock).save({ id: 1, sku: 'chair', quantity: 10 });
    buyers = [1, 2].map(() => new Buyer({ database: server.url, redis: redis.url }));
  });

  afterEach(() => Promise.all(buyers.map((buyer) => buyer.end())));

  afterAll(async () => {
    await dataSource.destroy();
    await server.stop();
    await redis.stop();
  });

  const pair = (): readonly [Buyer, Buyer] => {
    const [first, second] = buyers;
    if (first === undefined || second === undefined) throw new Error('There must be two buyers.');
    return [first, second];
  };

  const quantity = async (): Promise<number> =>
    (await dataSource.getRepository(Stock).findOneByOrFail({ id: 1 })).quantity;

  const buy = async (buyer: Buyer, way: 'fenced' | 'unfenced'): Promise<void> => {
    expect(await buyer.tell({ do: 'lock', ttl: TTL })).toBe('done');
    expect(await buyer.tell({ do: 'read', way })).toBe('done');
    expect(await buyer.tell({ do: 'write' })).toBe('done');
    expect(await buyer.tell({ do: 'release' })).toBe('done');
  };

  it('lose an update without fencing, when the first is stopped beyond its lease after it has read', async () => {
    const [first, second] = pair();
    await first.tell({ do: 'lock', ttl: TTL });
    await first.tell({ do: 'read', way: 'unfenced' });
    first.stop();
    await buy(second, 'unfenced');
    first.goOn();
    expect(await first.tell({ do: 'write' })).toBe('done');
    // Two were bought.
    expect(await quantity()).toBe(9);
  });

  it('lose nothing with it: the first is refused', async () => {
    const [first, second] = pair();
    await first.tell({ do: 'lock', ttl: TTL });
    first.stop();
    await buy(second, 'fenced');
    first.goOn();
    // By the database, or by its own lease, whoever is quicker.
    expect(['LOCK_STALE', 'LOCK_LOST']).toContain(await first.tell({ do: 'read', way: 'fenced' }));
    expect(await quantity()).toBe(9);
  });

  it('lose nothing with it when the first is stopped inside of its transaction', async () => {
    const [first, second] = pair();
    await first.tell({ do: 'lock', ttl: TTL });
    await first.tell({ do: 'read', way: 'fenced' });
    first.stop();
    await buy(second, 'fenced');
    first.goOn();
    expect(await first.tell({ do: 'write' })).not.toBe('done');
    expect(await quantity()).toBe(9);
  });

  it('lose an update without it when Redis forgot the lock', async () => {
    const [first, second] = pair();
    await first.tell({ do: 'lock', ttl: 60_000 });
    await first.tell({ do: 'read', way: 'unfenced' });
    await forgetEverything();
    await buy(second, 'unfenced');
    expect(await first.tell({ do: 'write' })).toBe('done');
    expect(await quantity()).toBe(9);
  });

  it('lose nothing with it when Redis forgot the lock: the database says that it is stale', async () => {
    const [first, second] = pair();
    await first.tell({ do: 'lock', ttl: 60_000 });
    await forgetEverything();
    await buy(second, 'fenced');
    expect(await first.tell({ do: 'read', way: 'fenced' })).toBe('LOCK_STALE');
    expect(await quantity()).toBe(9);
  });

  it('lose an update by the classic bug: a lock that is released before the commit', async () => {
    const [first, second] = pair();
    await first.tell({ do: 'lock', ttl: TTL });
    await first.tell({ do: 'read', way: 'released before the commit' });
    await first.tell({ do: 'release' });
    await buy(second, 'unfenced');
    expect(await first.tell({ do: 'write' })).toBe('done');
    expect(await quantity()).toBe(9);
  });

  async function forgetEverything(): Promise<void> {
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
  }
});
