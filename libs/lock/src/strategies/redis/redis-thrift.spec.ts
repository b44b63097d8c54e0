import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { request, RedisLocks } from '../../../../../test/support/redis/redis-locks';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import type { LockStrategy } from '../../locking/lock-strategy.js';

// Connections break here on purpose, which is warned of.
Logger.overrideLogger(['error']);

describe('the lock in Redis is thrifty', () => {
  let server: RedisServer;
  let redis: Redis;
  const locks = new RedisLocks(() => ({ url: server.url }));

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    redis.on('error', () => undefined);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  afterEach(async () => {
    server.resume();
    await locks.close();
    await redis.flushall();
  });

  const connected = (): Promise<LockStrategy> => locks.connected();

  async function figure(section: 'stats' | 'commandstats', pattern: RegExp): Promise<number> {
    return Number(pattern.exec(await redis.info(section))?.[1] ?? 0);
  }

  it('renews three times a lease and no more, however short the lease', async () => {
    const held = await (await connected()).acquire(request({ ttl: 100 }));
    const sent = (): Promise<number> => figure('commandstats', /cmdstat_evalsha:calls=(\d+)/);
    const [before, beganAt] = [await sent(), performance.now()];
    await eventually('it was renewed ten times', async () => (await sent()) - before >= 10);
    const leases = (performance.now() - beganAt) / 100;
    expect((await sent()) - before).toBeLessThanOrEqual(3 * leases + 3);
    await held.release();
  });

  it('keeps a lock whose connection breaks again and again, and renews it each time', async () => {
    // Nothing but a new connection is a reason to renew it so soon.
    const held = await (await connected()).acquire(request({ ttl: 120_000 }));
    const sent = (): Promise<number> => figure('commandstats', /cmdstat_evalsha:calls=(\d+)/);
    for (let cut = 0; cut < 20; cut += 1) {
      const before = await sent();
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await eventually('it is renewed', async () => (await sent()) > before);
    }
    expect(held.signal.aborted).toBe(false);
    await held.release();
  });

  it('opens no connection for a lock, whether that is free or waited for', async () => {
    const [a, b] = [await connected(), await connected()];
    const contend = (strategy: LockStrategy): Promise<void[]> =>
      Promise.all(
        Array.from({ length: 50 }, async () => {
          await (await strategy.acquire(request())).release();
        }),
      );
    const before = await figure('stats', /total_connections_received:(\d+)/);
    await Promise.all([contend(a), contend(b)]);
    expect(await figure('stats', /total_connections_received:(\d+)/)).toBe(before);
  });

  it('lets nobody wait for a release that Redis does not answer', async () => {
    const strategy = await connected();
    const held = await strategy.acquire(request());
    server.pause();
    const startedAt = performance.now();
    await held.release();
    // Given up once, by the limit of the connection, and never retried while the caller waits.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    server.resume();
    await eventually('it is given back all the same', async () => {
      return (await redis.strlen('lock:{stock:1}')) === 16;
    });
  });

  it('remembers few of the keys that were locked once', async () => {
    const strategy = await connected();
    const remembered = (): number =>
      Object.values(strategy).reduce<number>(
        (sum, part) => (part instanceof Map || part instanceof Set ? sum + part.size : sum),
        0,
      );
    await lockEach(strategy, 2_000, 'first');
    const before = remembered();
    await lockEach(strategy, 2_000, 'second');
    expect(remembered()).toBeLessThanOrEqual(Math.max(before, 1));
  });

  async function lockEach(strategy: LockStrategy, count: number, resource: string): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async (_, id) => {
        const lease = await strategy.acquire(request({ name: `${resource}:${id}` }));
        await lease.release();
      }),
    );
  }
});
