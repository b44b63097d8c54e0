import { Logger } from '@nestjs/common';
import { Cluster, Command, Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { RedisLocks } from '../../../../../test/support/redis/redis-locks';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/servers/redis-cluster';
import type { RedisServer } from '../../../../../test/support/servers/redis-server';
import type { LockRequest, LockStrategy } from '../../locking/lock-strategy.js';

const KEY = 'lock:{stock:1}';
const SLOT = new Command('get', [KEY]).getSlot() ?? 0;

// A master dies here on purpose, which is warned of.
Logger.overrideLogger(['error']);

describe('the lock in a Cluster whose master dies', () => {
  let servers: RedisCluster;
  let replica: RedisServer;
  let client: Cluster;
  const locks = new RedisLocks(() => ({ client }));

  beforeAll(async () => {
    servers = await startRedisCluster();
    replica = await servers.addReplica(SLOT);
    client = new Cluster([...servers.nodes]);
    client.on('error', () => undefined);
    await client.ping();
  }, 60_000);

  afterAll(async () => {
    await locks.close();
    client.disconnect();
    await servers.stop();
  }, 60_000);

  const connected = (): Promise<LockStrategy> => locks.connected();

  function request(change: Partial<LockRequest> = {}): LockRequest {
    return { name: 'stock:1', waitTime: 60_000, ttl: 3_000, holdAtLeast: 0, ...change };
  }

  async function onReplica<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = new Redis(replica.url, { readOnly: true });
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }

  it('goes on with its replica: all who wait are served, one at a time, with tokens above all before', async () => {
    const three = [await connected(), await connected(), await connected()] as const;
    const held = await three[0].acquire(request());
    const tokens: number[] = [];
    let inside = 0;
    let most = 0;
    const calls = [...three, ...three].map(async (strategy) => {
      const lease = await strategy.acquire(request());
      inside += 1;
      most = Math.max(most, inside);
      tokens.push(lease.token ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside -= 1;
      await lease.release();
    });
    await eventually('the replica knows all who wait', () =>
      onReplica(async (redis) => (await redis.zcard(`${KEY}:queue`)) === calls.length),
    );

    await (await servers.serverOf(SLOT)).kill();
    await eventually(
      'the replica is the master',
      () => onReplica(async (redis) => (await redis.info('replication')).includes('role:master')),
      30_000,
    );
    await held.release();
    await Promise.all(calls);

    expect(most).toBe(1);
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
    expect(tokens).toHaveLength(calls.length);
    expect(tokens[0]).toBeGreaterThan(held.token ?? Infinity);
    const later = await three[1].acquire(request());
    expect(later.token).toBeGreaterThan(Math.max(...tokens));
    await later.release();
  }, 90_000);
});
