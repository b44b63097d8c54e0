import { Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { instanceNamed, ScriptBench, tokenIn } from '../../../../../test/support/redis/script-bench';
import { TcpProxy } from '../../../../../test/fault/faults/tcp-proxy';
import { RedisLocks } from '../../../../../test/support/redis/redis-locks';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import { LockBusyError } from '../../locking/lock-error.js';
import type { LockRequest, LockStrategy, StrategyLease } from '../../locking/lock-strategy.js';
import type { RedisLockOptions } from './redis-lock.js';
import { Session } from './session.js';

const X = instanceNamed('X');
const REQUEST: LockRequest = { name: 'stock:1', waitTime: 10_000, ttl: 10_000, holdAtLeast: 0 };

describe('the calls of one process that wait for one lock', () => {
  let server: RedisServer;
  let redis: Redis;
  /** Other instances: some live, some dead. */
  let others: ScriptBench;
  const locks = new RedisLocks(() => ({ url: server.url }));

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  beforeEach(() => (others = new ScriptBench(redis)));

  afterEach(async () => {
    await redis.config('SET', 'maxmemory', '0');
    await locks.close();
    await others.end();
  });

  const connected = (options?: Partial<RedisLockOptions>): Promise<LockStrategy> => locks.connected(options);

  async function untilQueued(length: number): Promise<void> {
    await eventually(`${length} queued`, async () => (await redis.zcard(others.keys[1])) === length);
  }

  async function scriptsRun(): Promise<number> {
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  }

  it('look after the lock for as long as one of them is queued, though an earlier one was served by a look', async () => {
    const strategy = await connected();
    // Holds it and dies; then somebody of ours; then somebody who receives grants and never works; then ours again.
    await others.acquire(instanceNamed('D'), '1:300');
    const first = strategy.acquire({ ...REQUEST, ttl: 400 });
    await untilQueued(1);
    await others.listen(X);
    await others.acquire(X, '1:300');
    const second = strategy.acquire({ ...REQUEST, ttl: 500 });
    await untilQueued(3);
    await (await first).release();
    await (await second).release();
  });

  it('are asked for in their order when there is a connection again, also before one that only tries', async () => {
    const strategy = locks.instance();
    // Nothing is connected yet, so that both are asked for at once.
    const first = strategy.acquire({ ...REQUEST, name: 'order:1' });
    const second = strategy.acquire({ ...REQUEST, name: 'order:1', waitTime: 0 });
    await expect(second).rejects.toBeInstanceOf(LockBusyError);
    await (await first).release();
  });

  it('are served in their order, though the first ones lost their places and a later one is granted before they are back', async () => {
    const strategy = await connected();
    const token = tokenIn(await others.acquire(X, '1:10000'));
    const order: number[] = [];
    const calls: Promise<void>[] = [];
    for (let call = 1; call <= 5; call += 1) {
      const serve = async (): Promise<void> => {
        // Terms of their own, so that one grant can't serve all.
        const lease = await strategy.acquire({ ...REQUEST, ttl: 10_000 + call });
        order.push(call);
        await lease.release();
      };
      calls.push(serve());
      await untilQueued(call);
    }
    // As a promotion does that finds the inbox unheard.
    await redis.zremrangebyrank(others.keys[1], 0, 1);
    await others.release(X, token);
    await Promise.all(calls);
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });

  it('are served in their order, though the lock is taken by force from the one before them', async () => {
    const [strategy, operator] = [await connected(), await connected()];
    const token = tokenIn(await others.acquire(X, '1:10000'));
    const calls: Promise<StrategyLease>[] = [];
    // The first two come to have one grant, and the third has terms of its own.
    for (const ttl of [10_000, 10_000, 9_000]) {
      calls.push(strategy.acquire({ ...REQUEST, ttl }));
      await untilQueued(calls.length);
    }
    const order: number[] = [];
    const served = calls.map(async (call, number) => {
      const lease = await call;
      order.push(number);
      if (number > 0) await lease.release();
    });
    await others.release(X, token);
    await calls[0];
    await operator.forceRelease?.('stock:1');
    await Promise.all(served);
    expect(order).toEqual([0, 1, 2]);
  });

  it('are busy, not unavailable, when their wait ends behind another of the same grant, of which a new connection told', async () => {
    const proxy = await TcpProxy.open(server);
    try {
      const strategy = await connected({ url: `redis://127.0.0.1:${proxy.port}` });
      const token = tokenIn(await others.acquire(X, '1:10000'));
      const first = strategy.acquire(REQUEST);
      await untilQueued(1);
      const second = strategy.acquire({ ...REQUEST, waitTime: 1_500 });
      await untilQueued(2);
      // The grant of both is published to an open socket, and lost.
      proxy.fallSilent();
      await others.release(X, token);
      proxy.cut();
      proxy.speakAgain();
      const lease = await first;
      await expect(second).rejects.toBeInstanceOf(LockBusyError);
      await lease.release();
    } finally {
      await proxy.close();
    }
  });

  it('queue up with bypass, also while one that only tries is being asked for', async () => {
    const strategy = await connected({ bypass: 8 });
    const token = tokenIn(await others.acquire(X, '1:10000'));
    const trying = strategy.acquire({ ...REQUEST, waitTime: 0 });
    const waiting = strategy.acquire(REQUEST);
    await expect(trying).rejects.toBeInstanceOf(LockBusyError);
    await untilQueued(1);
    await others.release(X, token);
    await (await waiting).release();
  });

  it('look after the lock, though the one for whom they looked gave up meanwhile', async () => {
    const strategy = await connected();
    await others.listen(X);
    await others.acquire(X, '1:300');
    const gone = new AbortController();
    const first = strategy.acquire({ ...REQUEST, signal: gone.signal });
    await untilQueued(1);
    const second = strategy.acquire(REQUEST);
    await untilQueued(2);
    // X extends once and dies. The look, at the end of X's first lease, is under way when the first one gives up.
    const token = (await redis.get(others.keys[0]))?.slice(30, 46) ?? '';
    await others.extend(X, token, 1_500, '300:1;1');
    await redis.config('RESETSTAT');
    const sent = jest.spyOn(Session.prototype, 'run');
    await redis.client('PAUSE', 1_000, 'ALL');
    await eventually('the look is sent', () => sent.mock.calls.some(([{ script }]) => script === 'sweep'));
    sent.mockRestore();
    gone.abort(new Error('gave up'));
    await expect(first).rejects.toThrow('gave up');
    await (await second).release();
  });

  it('are told at once that the lock is busy, though asking has handed it to another one of them', async () => {
    const strategy = await connected();
    await others.acquire(instanceNamed('D'), '1:200');
    const waiting = strategy.acquire(REQUEST);
    await untilQueued(1);
    await others.lapse();
    const startedAt = performance.now();
    await expect(strategy.acquire({ ...REQUEST, waitTime: 0 })).rejects.toBeInstanceOf(LockBusyError);
    expect(performance.now() - startedAt).toBeLessThan(900);
    await (await waiting).release();
  });

  it('keep a lock of a broken number of milliseconds', async () => {
    const strategy = await connected();
    const lease = await strategy.acquire({ ...REQUEST, ttl: 900.5 });
    await lease.extend(900.5);
    const since = performance.now();
    await eventually('held for two leases', () => lease.signal.aborted || performance.now() - since > 1_900);
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
  });

  it('keep the lock when the memory of the server is full', async () => {
    const strategy = await connected();
    const lease = await strategy.acquire({ ...REQUEST, ttl: 600 });
    await redis.config('SET', 'maxmemory', '1');
    await lease.extend(3_000);
    expect(lease.remaining).toBeGreaterThan(2_000);
    await lease.release();
  });

  it('are told so, each of them, when Redis refuses to serve them', async () => {
    const strategy = await connected({ bypass: 4 });
    await redis.config('SET', 'maxmemory', '1');
    const calls = Array.from({ length: 5 }, () => strategy.acquire(REQUEST));
    for (const call of calls) await expect(call).rejects.toThrow(/OOM/);
  });

  it('share a place for all of them, though one wants to keep the lock longer than the others', async () => {
    const strategy = await connected({ bypass: 4 });
    const token = tokenIn(await others.acquire(X, '1:5000'));
    const calls = [0, 2_000].map(async (holdAtLeast) =>
      (await strategy.acquire({ ...REQUEST, ttl: 500, holdAtLeast })).release(),
    );
    await untilQueued(1);
    await redis.config('RESETSTAT');
    await others.release(X, token);
    await Promise.all(calls);
    expect(await scriptsRun()).toBeLessThan(10);
  });

  it('leaves nobody holding it, when replicas did not confirm it for one of them', async () => {
    const replica = await startRedis({
      args: ['--replicaof', server.host, String(server.port), '--repl-diskless-sync-delay', '0'],
    });
    const link = new Redis(replica.url);
    try {
      await eventually('in sync', async () =>
        (await link.info('replication')).includes('master_link_status:up'),
      );
      const strategy = await connected({ bypass: 4, replicas: 1 });
      replica.pause();
      await expect(strategy.acquire(REQUEST)).rejects.toThrow(/only 0 of 1 replicas/);
      replica.resume();
      await eventually('the replica confirms again', async () => {
        await redis.set('probe', '1');
        return (await redis.wait(1, 100)) === 1;
      });
      const after = await strategy.acquire({ ...REQUEST, waitTime: 5_000 });
      await after.release();
      await eventually('free', async () => (await strategy.inspect?.('stock:1'))?.held === false);
    } finally {
      link.disconnect();
      await replica.stop();
    }
  });

  it('keeps its connection while replicas are waited for by many', async () => {
    const strategy = await connected({ replicas: 1 });
    await redis.config('RESETSTAT');
    const calls = Array.from({ length: 8 }, (_, call) =>
      strategy.acquire({ ...REQUEST, name: `stock:${call}`, waitTime: 20_000 }),
    );
    for (const call of calls) await expect(call).rejects.toThrow(/only 0 of 1 replicas/);
    expect(await redis.info('commandstats')).not.toContain('cmdstat_hello');
  });

  it('keeps its connection when the process was busy for longer than a server may be silent', async () => {
    const strategy = await connected();
    await redis.config('RESETSTAT');
    const free = strategy.acquire(REQUEST);
    await new Promise((resolve) => setImmediate(resolve));
    const until = performance.now() + 2_300;
    while (performance.now() < until);
    await (await free).release();
    expect(await redis.info('commandstats')).not.toContain('cmdstat_hello');
  });
});
