import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { WITHOUT_SHARDS } from '../../../../../test/support/redis/without-shards';
import { request, RedisLocks } from '../../../../../test/support/redis/redis-locks';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import { LockBusyError } from '../../locking/lock-error.js';
import type { LockStrategy } from '../../locking/lock-strategy.js';

const QUEUE = 'lock:{stock:1}:queue';

// Connections break here on purpose, which is warned of.
Logger.overrideLogger(['error']);

describe('the lock in a Redis without sharded channels', () => {
  let server: RedisServer;
  let redis: Redis;
  const locks = new RedisLocks(() => ({ url: server.url }));

  beforeAll(async () => {
    server = await startRedis({ args: WITHOUT_SHARDS });
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    redis.on('error', () => undefined);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  afterEach(async () => {
    await locks.close();
    await redis.flushall();
  });

  const connected = (): Promise<LockStrategy> => locks.connected();

  async function untilQueued(length: number): Promise<void> {
    await eventually(`${length} queued`, async () => (await redis.zcard(QUEUE)) === length);
  }

  async function lineUp(three: readonly LockStrategy[], order: number[]): Promise<readonly Promise<void>[]> {
    const calls: Promise<void>[] = [];
    for (const [call, strategy] of [...three, ...three].entries()) {
      calls.push(
        strategy.acquire(request()).then(async (lease) => {
          order.push(call);
          await lease.release();
        }),
      );
      await untilQueued(call + 1);
    }
    return calls;
  }

  it('hands on by plain messages, in order, past a wait that ends', async () => {
    const three = [await connected(), await connected(), await connected()] as const;
    const held = await three[0].acquire(request());
    const order: number[] = [];
    const calls = await lineUp(three, order);
    await expect(three[1].acquire(request({ waitTime: 50 }))).rejects.toBeInstanceOf(LockBusyError);
    await held.release();
    await Promise.all(calls);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    const stats = await redis.info('commandstats');
    expect(stats).toMatch(/cmdstat_publish:calls=\d+/);
    expect(stats).not.toMatch(/cmdstat_spublish/);
  });

  it('keeps holder and order when every connection is cut', async () => {
    const three = [await connected(), await connected(), await connected()] as const;
    const held = await three[0].acquire(request());
    const order: number[] = [];
    const calls = await lineUp(three, order);
    const heard = async (): Promise<number> => {
      const channels = (await redis.pubsub('CHANNELS', '*')) as string[];
      return channels.length;
    };
    const channels = await heard();
    const received = await connectionsReceived();
    for (const type of ['normal', 'pubsub'])
      await redis.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
    await eventually('all are connected anew', async () => (await connectionsReceived()) >= received + 3);
    await eventually('all are heard again', async () => (await heard()) === channels);
    await untilQueued(6);
    expect(order).toEqual([]);
    expect(held.signal.aborted).toBe(false);
    await held.extend(10_000);
    await held.release();
    await Promise.all(calls);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('goes on when a process that waits shuts down', async () => {
    const [a, b, gone] = [await connected(), await connected(), await connected()];
    const held = await a.acquire(request());
    const leaving = gone.acquire(request());
    leaving.catch(() => undefined);
    await untilQueued(1);
    const waiting = b.acquire(request());
    await untilQueued(2);
    await Promise.all([gone.close?.(), expect(leaving).rejects.toThrow(/shutting down/)]);
    await held.release();
    await (await waiting).release();
  });

  async function connectionsReceived(): Promise<number> {
    return Number(/total_connections_received:(\d+)/.exec(await redis.info('stats'))?.[1]);
  }
});
