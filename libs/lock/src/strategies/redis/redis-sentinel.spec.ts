import { Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { openChannels } from '../../../../../test/support/redis/open-channels';
import { startSentinels, type SentinelTrio } from '../../../../../test/support/servers/redis-sentinel';
import { LockUnavailableError } from '../../locking/lock-error.js';
import type { LockRequest, LockStrategy } from '../../locking/lock-strategy.js';
import { redisLock, type RedisLockOptions } from './redis-lock.js';

const QUEUE = 'lock:{stock:1}:queue';

describe('the lock behind Sentinel', () => {
  let servers: SentinelTrio;
  const strategies: LockStrategy[] = [];

  beforeAll(async () => (servers = await startSentinels()), 90_000);

  afterAll(() => servers.stop());

  afterEach(async () => {
    await Promise.all(strategies.splice(0).map(async (strategy) => strategy.close?.()));
  });

  async function connected(change: Partial<RedisLockOptions> = {}): Promise<LockStrategy> {
    const options = { sentinels: servers.addresses, name: servers.name };
    const strategy = redisLock({ options, ...change })({ strategy: 'redis', get: () => undefined as never });
    strategies.push(strategy);
    await strategy.connect?.();
    return strategy;
  }

  function request(change: Partial<LockRequest> = {}): LockRequest {
    return { name: 'stock:1', waitTime: 25_000, ttl: 8_000, holdAtLeast: 0, ...change };
  }

  async function onMaster<T>(command: (master: Redis) => Promise<T>): Promise<T> {
    const client = new Redis((await servers.master()).url);
    client.on('error', () => undefined);
    try {
      return await command(client);
    } finally {
      client.disconnect();
    }
  }

  it('keeps holder and order through a fail-over in the middle of 50 waiters', async () => {
    const three = [await connected(), await connected(), await connected()];
    const held = await three[0].acquire(request());
    const order: number[] = [];
    const calls: Promise<void>[] = [];
    for (let call = 0; call < 50; call += 1) {
      const strategy = three[call % 3];
      calls.push(
        strategy.acquire(request()).then(async (lease) => {
          order.push(call);
          await lease.release();
        }),
      );
      await eventually('queued', () => onMaster(async (master) => (await master.zcard(QUEUE)) === call + 1));
    }
    await servers.failOver();
    await eventually('all are heard by the new master', () =>
      onMaster(async (master) => (await openChannels(master, 'lock:inbox:*')).length === 3),
    );
    await eventually('all are queued', () => onMaster(async (master) => (await master.zcard(QUEUE)) === 50));
    await eventually('the holder can extend', () =>
      held.extend(8_000).then(
        () => true,
        (error: unknown) => (error instanceof LockUnavailableError ? false : Promise.reject(error as Error)),
      ),
    );
    expect(order).toEqual([]);
    await held.release();
    await Promise.all(calls);
    expect(order).toEqual([...Array(50).keys()]);
  }, 120_000);
});
