import { Redis } from 'ioredis';
import { TcpProxy } from '../../../../../test/fault/faults/tcp-proxy';
import { eventually } from '../../../../../test/support/eventually';
import { openChannels } from '../../../../../test/support/redis/open-channels';
import { request, RedisLocks } from '../../../../../test/support/redis/redis-locks';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import {
  LockBusyError,
  LockLostError,
  LockShutdownError,
  LockUnavailableError,
} from '../../locking/lock-error.js';
import type { LockStrategy } from '../../locking/lock-strategy.js';
import type { RedisLockOptions } from './redis-lock.js';

const KEY = 'lock:{stock:1}';
const QUEUE = `${KEY}:queue`;

describe('the lock in Redis', () => {
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
    await locks.close();
    await redis.flushall();
  });

  const connected = (options?: Partial<RedisLockOptions>): Promise<LockStrategy> => locks.connected(options);

  async function untilQueued(length: number): Promise<void> {
    await eventually(`${length} queued`, async () => (await redis.zcard(QUEUE)) === length);
  }

  /** Ends every connection that the strategies have, on the server. */
  async function cutConnections(kind: 'all' | 'normal' | 'pubsub' = 'all'): Promise<void> {
    const clients = String(await redis.client('LIST')).split('\n');
    const ours = clients.filter((client) => client.includes('name=nestjs-distributed-lock'));
    const chosen = ours.filter(
      (client) => kind === 'all' || client.includes(' ssub=0 ') === (kind === 'normal'),
    );
    for (const client of chosen) {
      const id = /id=(\d+)/.exec(client)?.[1] ?? '';
      await redis.client('KILL', 'ID', id);
    }
  }

  describe('in order', () => {
    it('serves the calls of two processes in the order in which they came', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request());
      const order: number[] = [];
      const calls: Promise<void>[] = [];
      for (let call = 0; call < 12; call += 1) {
        const strategy = call % 3 === 0 ? a : b;
        calls.push(
          strategy.acquire(request()).then(async (lease) => {
            order.push(call);
            await lease.release();
          }),
        );
        await untilQueued(call + 1);
      }
      await held.release();
      await Promise.all(calls);
      expect(order).toEqual([...Array(12).keys()]);
    });

    it('counts tokens up through runs, processes and leases', async () => {
      const [a, b] = [await connected(), await connected()];
      const tokens: number[] = [];
      await Promise.all(
        Array.from({ length: 60 }, async (_, call) => {
          const lease = await (call % 4 === 0 ? a : b).acquire(request());
          tokens.push(lease.token ?? 0);
          await lease.release();
        }),
      );
      expect(tokens).toEqual([...new Set(tokens)].sort((x, y) => x - y));
    });

    it('needs two commands a lock at the most, contended or not', async () => {
      const [a, b] = [await connected(), await connected()];
      const count = async (work: () => Promise<unknown>): Promise<number> => {
        await redis.config('RESETSTAT');
        await work();
        const stats = await redis.info('commandstats');
        return (
          Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]) +
          Number(/cmdstat_eval:calls=(\d+)/.exec(stats)?.[1] ?? 0)
        );
      };
      const alone = await count(async () => {
        for (let round = 0; round < 50; round += 1) await (await a.acquire(request())).release();
      });
      expect(alone).toBe(100);
      const contended = await count(() =>
        Promise.all(
          Array.from({ length: 200 }, async (_, call) =>
            (await (call % 2 === 0 ? a : b).acquire(request())).release(),
          ),
        ),
      );
      expect(contended).toBeLessThanOrEqual(400);
    });

    it('asks for nothing while it waits, but at most twice a lease', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request({ ttl: 400 }));
      const waiting = b.acquire(request({ ttl: 400 }));
      await untilQueued(1);
      await redis.config('RESETSTAT');
      const start = performance.now();
      await eventually('five leases', () => performance.now() - start > 2_000);
      const stats = await redis.info('commandstats');
      const sent = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
      const renewals = 3 * 5 + 3;
      expect(sent).toBeLessThanOrEqual(renewals + 2 * 5 + 2);
      await held.release();
      await (await waiting).release();
    });
  });

  describe('giving up', () => {
    it.each([
      ['times out', { waitTime: 30 }],
      ['is aborted', { signal: AbortSignal.timeout(30) }],
    ])('leaves the queue when it %s', async (_how, change) => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request());
      await expect(b.acquire(request(change))).rejects.toThrow();
      await untilQueued(0);
      await held.release();
      expect(await redis.strlen(KEY)).toBe(16);
    });

    it('hands the lock on, whenever a wait ends while a grant is under way', async () => {
      const [a, b, c] = [await connected(), await connected(), await connected()];
      for (let round = 0; round < 60; round += 1) {
        const held = await a.acquire(request());
        const controller = new AbortController();
        const first = b.acquire(request({ signal: controller.signal }));
        await untilQueued(1);
        const second = c.acquire(request());
        await untilQueued(2);
        const released = held.release();
        if (round % 3 === 1) await Promise.resolve();
        if (round % 3 === 2) await new Promise(setImmediate);
        controller.abort(new Error('enough'));
        const outcome = await first.then(
          (lease) => lease.release(),
          (error: Error) => expect(error.message).toBe('enough'),
        );
        expect(outcome).toBeUndefined();
        await released;
        await (await second).release();
      }
      await eventually('no residue', async () => (await redis.strlen(KEY)) === 16);
    });

    it('parts two calls that each hold what the other waits for: the shorter wait ends, the other goes on', async () => {
      const [a, b] = [await connected(), await connected()];
      const leases = [
        await a.acquire(request({ name: 'left' })),
        await b.acquire(request({ name: 'right' })),
      ] as const;
      const impatient = a.acquire(request({ name: 'right', waitTime: 300 }));
      const patient = b.acquire(request({ name: 'left' }));
      await expect(impatient).rejects.toBeInstanceOf(LockBusyError);
      await leases[0].release();
      await (await patient).release();
      await leases[1].release();
      for (const name of ['left', 'right']) {
        await eventually('no residue', async () => (await redis.strlen(`lock:{${name}}`)) === 16);
        expect(await redis.zcard(`lock:{${name}}:queue`)).toBe(0);
      }
    });

    it('is busy when somebody holds the lock, and unavailable when Redis does not answer', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request());
      await expect(b.acquire(request({ waitTime: 20 }))).rejects.toBeInstanceOf(LockBusyError);
      server.pause();
      try {
        await expect(b.acquire(request({ waitTime: 50 }))).rejects.toBeInstanceOf(LockUnavailableError);
        await expect(b.acquire(request({ waitTime: 0 }))).rejects.toBeInstanceOf(LockUnavailableError);
      } finally {
        server.resume();
      }
      await held.release();
      await (await b.acquire(request())).release();
      await eventually('no residue', async () => (await redis.strlen(KEY)) === 16);
    });
  });

  describe('holding', () => {
    it('renews for as long as it is held', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request({ ttl: 150 }));
      await expect(b.acquire(request({ waitTime: 700 }))).rejects.toBeInstanceOf(LockBusyError);
      expect(held.signal.aborted).toBe(false);
      expect(held.remaining).toBeGreaterThan(0);
      await held.release();
    });

    it('extends for as long as it is asked to, and never shortens', async () => {
      const a = await connected();
      const held = await a.acquire(request());
      await held.extend(60_000);
      expect(held.remaining).toBeGreaterThan(59_900);
      await held.extend(1_000);
      expect(held.remaining).toBeGreaterThan(59_000);
      await held.release();
      await expect(held.extend(1_000)).rejects.toThrow(/released/);
    });

    it('keeps the lock closed for holdAtLeast, though it is released', async () => {
      const [a, b] = [await connected(), await connected()];
      const start = performance.now();
      await (await a.acquire(request({ holdAtLeast: 300 }))).release();
      expect(performance.now() - start).toBeLessThan(250);
      const next = await b.acquire(request());
      expect(performance.now() - start).toBeGreaterThanOrEqual(300);
      await next.release();
    });

    it('keeps it closed between calls of one process, and when that is shut down', async () => {
      const [a, b] = [await connected(), await connected()];
      const first = await a.acquire(request({ holdAtLeast: 200 }));
      const waiting = a.acquire(request({ holdAtLeast: 600 }));
      const start = performance.now();
      await first.release();
      const second = await waiting;
      expect(performance.now() - start).toBeGreaterThan(150);
      const taken = performance.now();
      await second.release();
      await a.drain?.();
      await a.close?.();
      expect(performance.now() - taken).toBeLessThan(500);
      const next = await b.acquire(request());
      expect(performance.now() - taken).toBeGreaterThanOrEqual(599);
      await next.release();
    });

    it('shows holder and waiters, and takes the lock away by force', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request());
      const waiting = b.acquire(request());
      await untilQueued(1);
      const seen = await b.inspect?.('stock:1');
      expect(seen).toMatchObject({ held: true, token: held.token });
      expect(seen?.holder).toContain(`process ${process.pid}`);
      expect(Math.abs((seen?.since?.getTime() ?? 0) - Date.now())).toBeLessThan(5_000);
      expect(seen?.heldFor).toBeGreaterThanOrEqual(0);
      expect(seen?.heldFor).toBeLessThan(5_000);
      expect(seen?.remaining).toBeGreaterThan(0);
      expect(seen?.remaining).toBeLessThanOrEqual(request().ttl);
      expect(seen?.waiters).toHaveLength(1);
      expect(held.isLost).toBe(false);
      expect(await b.forceRelease?.('stock:1')).toBe(true);
      // Without the signal ever having been asked for.
      await eventually('the holder hears of it', () => held.isLost === true);
      expect(held.signal.aborted).toBe(true);
      expect(held.signal.reason).toBeInstanceOf(LockLostError);
      await (await waiting).release();
      expect(await b.forceRelease?.('stock:1')).toBe(false);
      expect(await b.inspect?.('stock:1')).toEqual({ name: 'stock:1', held: false, waiters: [] });
    });

    it('tells nobody of a loss who has released the lock, though it stayed closed for holdAtLeast', async () => {
      const [a, b] = [await connected(), await connected()];
      const done = await a.acquire(request({ holdAtLeast: 5_000 }));
      await done.release();
      expect(await b.forceRelease?.('stock:1')).toBe(true);
      // Its answer comes behind the message that the lock was taken away.
      await a.inspect?.('stock:1');
      expect([done.isLost, done.signal.aborted]).toEqual([false, false]);
    });
  });

  describe('when connections break', () => {
    it.each(['all', 'normal', 'pubsub'] as const)(
      'keeps holder and order when %s connections are cut (RESP2: two a process)',
      async (kind) => {
        const options = {
          url: undefined,
          options: { host: server.host, port: server.port, protocol: 2 as const },
        };
        await keepsOrderThrough(() => cutConnections(kind), options);
      },
    );

    it('keeps holder and order when its one connection is cut (RESP3)', async () => {
      await keepsOrderThrough(() => cutConnections(), {});
    });

    it('keeps holder and order when the server restarts with its data', async () => {
      await keepsOrderThrough(() => server.restart({ keepData: true }), {});
    });

    it('keeps holder and order when the server restarts without its data', async () => {
      await keepsOrderThrough(() => server.restart({ keepData: false }), {});
    });

    it('keeps holder and order when the scripts are flushed', async () => {
      await keepsOrderThrough(() => redis.script('FLUSH'), {});
    });

    it('keeps holder and order when all data are flushed', async () => {
      await keepsOrderThrough(() => redis.flushall(), {});
    });

    async function keepsOrderThrough(
      fault: () => Promise<unknown>,
      options: Partial<RedisLockOptions>,
    ): Promise<void> {
      const [a, b, c] = [await connected(options), await connected(options), await connected(options)];
      const held = await a.acquire(request({ ttl: 1_500 }));
      const order: number[] = [];
      const calls: Promise<void>[] = [];
      for (let call = 0; call < 12; call += 1) {
        const strategy = [a, b, c][call % 3] ?? a;
        const waiting = strategy.acquire(request({ ttl: 1_500 }));
        calls.push(
          waiting.then(async (lease) => {
            order.push(call);
            await lease.release();
          }),
        );
        await untilQueued(call + 1);
      }
      await fault();
      await eventually('all are queued again', async () => (await redis.zcard(QUEUE).catch(() => 0)) === 12);
      await eventually('all inboxes are heard', async () => {
        const inboxes = await openChannels(redis, 'lock:inbox:*');
        return inboxes.length === 3;
      });
      await eventually('the holder can extend', () =>
        held.extend(1_500).then(
          () => true,
          (error: unknown) =>
            error instanceof LockUnavailableError ? false : Promise.reject(error as Error),
        ),
      );
      expect(held.signal.aborted).toBe(false);
      expect(order).toEqual([]);
      await held.release();
      await Promise.all(calls);
      expect(order).toEqual([...Array(12).keys()]);
      await eventually('no residue', async () => (await redis.strlen(KEY)) === 16);
    }

    it('serves who waits, though a server that lost its data, with a slower clock, gives lower tokens', async () => {
      const [a, b] = [await connected(), await connected()];
      const hoursAhead = (hours: number): string => String((Date.now() + hours * 3_600_000) * 1_000);
      // As if its clock was an hour ahead, then two, until it restarts.
      await redis.set(KEY, hoursAhead(1), 'PX', 60_000);
      const short = request({ ttl: 1_000 });
      const held = await a.acquire(short);
      const first = b.acquire(short);
      await untilQueued(1);
      const last = a.acquire(short);
      await untilQueued(2);
      const waiting = b.acquire(short);
      await untilQueued(3);
      await redis.setrange(KEY, 0, hoursAhead(2));
      await held.release();
      await (await first).release();
      await last;
      // Its holder is gone for good: nobody tells the server of its token.
      server.pause();
      await a.close?.();
      await server.restart({ keepData: false });
      const served = await waiting;
      expect(served.signal.aborted).toBe(false);
      await served.release();
    });

    it('releases what was released while Redis was away', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request({ ttl: 60_000 }));
      const waiting = b.acquire(request({ waitTime: 15_000 }));
      await untilQueued(1);
      server.pause();
      const released = held.release();
      await cutLocally(a);
      server.resume();
      await released;
      await (await waiting).release();
    });

    it('releases after a crash of the server what was released meanwhile', async () => {
      const durable = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
      const [a, b] = [await connected({ url: durable.url }), await connected({ url: durable.url })];
      const held = await a.acquire(request({ ttl: 60_000 }));
      // Its own lease is how long it stays away from a lock that the restarted server may not know everything about.
      const waiting = b.acquire(request({ ttl: 1_000 }));
      await eventually('queued', async () => (await b.inspect?.('stock:1'))?.waiters.length === 1);
      await durable.kill();
      await held.release();
      await durable.restart({ keepData: true });
      await (await waiting).release();
      await locks.close();
      await durable.stop();
    });

    it('ends its old connection on the server when it makes a new one', async () => {
      const a = await connected();
      await redis.config('RESETSTAT');
      server.pause();
      await cutLocally(a);
      server.resume();
      await eventually('it was told to', async () =>
        /cmdstat_client\|kill:calls=[1-9]/.test(await redis.info('commandstats')),
      );
    });

    it('starts no work by a grant that arrives when its lease is over, and others have the lock', async () => {
      const proxy = await TcpProxy.open(server);
      const [near, far] = [await connected(), await connected({ url: `redis://127.0.0.1:${proxy.port}` })];
      const held = await near.acquire(request());
      let begun = false;
      const waiting = far.acquire(request({ ttl: 300 })).finally(() => (begun = true));
      await untilQueued(1);
      proxy.fallSilent();
      await held.release();
      const seen = await near.inspect?.('stock:1');
      expect(seen?.token).toBeGreaterThan(held.token ?? Infinity);
      const next = await near.acquire(request());
      proxy.speakAgain();
      // Its answer comes behind the grant.
      await far.inspect?.('stock:1');
      expect(begun).toBe(false);
      await next.release();
      const late = await waiting;
      expect(late.token).toBeGreaterThan(next.token ?? Infinity);
      await late.release();
      await locks.close();
      await proxy.close();
    });

    it('loses the lock at its deadline when Redis is away, and tells the holder before others may get it', async () => {
      const a = await connected();
      const start = performance.now();
      const held = await a.acquire(request({ ttl: 2_000 }));
      let lostAfter = 0;
      held.signal.addEventListener('abort', () => (lostAfter = performance.now() - start));
      server.pause();
      try {
        await eventually('lost', () => held.signal.aborted);
        expect(lostAfter).toBeLessThan(2_000);
        expect(held.signal.reason).toBeInstanceOf(LockLostError);
        expect(held.remaining).toBe(0);
        await expect(held.extend(100)).rejects.toBeInstanceOf(LockLostError);
        await held.release();
      } finally {
        server.resume();
      }
      await (await a.acquire(request())).release();
    });

    /** Waits until the client has noticed that the server is silent. */
    async function cutLocally(strategy: LockStrategy): Promise<void> {
      await expect(strategy.inspect?.('stock:1')).rejects.toBeInstanceOf(LockUnavailableError);
    }
  });

  describe('when Redis is away', () => {
    it('starts, fails within the wait time, and works when Redis comes', async () => {
      const gone = await startRedis();
      await gone.kill();
      const strategy = await connected({ url: gone.url });
      const start = performance.now();
      await expect(strategy.acquire(request({ waitTime: 100 }))).rejects.toBeInstanceOf(LockUnavailableError);
      await expect(strategy.acquire(request({ waitTime: 0 }))).rejects.toBeInstanceOf(LockUnavailableError);
      expect(performance.now() - start).toBeLessThan(1_000);
      const waiting = strategy.acquire(request());
      await gone.restart({ keepData: false });
      await (await waiting).release();
      await strategy.close?.();
      await gone.stop();
    });

    it('goes on waiting when Redis goes away and comes back', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request({ ttl: 1_000 }));
      const waiting = b.acquire(request({ ttl: 1_000 }));
      await untilQueued(1);
      await server.kill();
      await eventually('the holder loses it', () => held.signal.aborted);
      await server.restart({ keepData: false });
      await held.release();
      await (await waiting).release();
    });
  });

  describe('shutting down', () => {
    it('rejects who waits, lets holders finish, and leaves nothing behind', async () => {
      const [a, b] = [await connected(), await connected()];
      const held = await a.acquire(request());
      const other = await b.acquire(request({ name: 'other' }));
      const waiting = b.acquire(request());
      await untilQueued(1);
      const drained = b.drain?.();
      await expect(waiting).rejects.toBeInstanceOf(LockShutdownError);
      await expect(b.acquire(request())).rejects.toBeInstanceOf(LockShutdownError);
      await untilQueued(0);
      await other.release();
      await drained;
      await b.close?.();
      await held.release();
      await a.close?.();
      await eventually('no connections', async () => {
        const clients = String(await redis.client('LIST'));
        return !clients.includes('name=nestjs-distributed-lock');
      });
      expect(await redis.strlen(KEY)).toBe(16);
    });

    it('waits for holders no longer than it is told, and releases for them', async () => {
      const [a, b] = [await connected({ shutdownTimeout: 50 }), await connected()];
      const held = await a.acquire(request());
      const { signal } = held;
      await a.drain?.();
      await a.close?.();
      expect(signal.aborted).toBe(true);
      await held.release();
      await (await b.acquire(request({ waitTime: 1_000 }))).release();
    });

    it('does not wait for a Redis that is away', async () => {
      const gone = await startRedis();
      const strategy = await connected({ url: gone.url });
      await strategy.acquire(request());
      await gone.stop();
      const start = performance.now();
      await strategy.close?.();
      expect(performance.now() - start).toBeLessThan(2_500);
    });
  });
});
