import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import { eventually } from '../../../../../test/support/eventually';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/servers/redis-cluster';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import { LockBusyError, LockConfigurationError } from '../../locking/lock-error.js';
import type {
  LockRequest,
  LockStrategy,
  StrategyContext,
  StrategyLease,
} from '../../locking/lock-strategy.js';
import type { RedisClient } from './connection-source.js';
import { redisLock, type RedisLockOptions } from './redis-lock.js';

const REQUEST: LockRequest = { name: 'stock:1', waitTime: 10_000, ttl: 10_000, holdAtLeast: 0 };
const CONTEXT: StrategyContext = { strategy: 'redis', get: () => undefined as never };

describe('what redisLock is told', () => {
  const url = 'redis://localhost:6379';

  it.each<[string, object, RegExp]>([
    ['nothing', {}, /exactly one of url, options, client and token .* got none/],
    ['two places', { url, token: 'REDIS' }, /got url and token/],
    ['an address that is none', { url: 'localhost:6379' }, /url must be like 'redis:/],
    ['no object', url as unknown as object, /the options must be an object/],
    ['an option that there is none', { url, waitTime: 3 }, /no option "waitTime".*belong to the method/],
    ['something that is no client', { client: { get: () => 1 } }, /client must be a client of ioredis/],
    ['a prefix with braces', { url, prefix: '{a}' }, /prefix must be a string without braces/],
    ['half a bypass', { url, bypass: 0.5 }, /bypass must be a whole number.*Got 0\.5/],
    ['a negative number of replicas', { url, replicas: -1 }, /replicas must be a whole number/],
    ['an unknown policy', { url, afterRestart: 'never' }, /afterRestart must be 'seen' or 'always'/],
    [
      'an endless shut-down',
      { url, shutdownTimeout: Infinity },
      /shutdownTimeout must be whole milliseconds/,
    ],
  ])('is refused when it is %s', (_what, options, message) => {
    expect(() => redisLock(options)).toThrow(LockConfigurationError);
    expect(() => redisLock(options)).toThrow(message);
  });

  it('is refused without a word of the password in its address', () => {
    expect(() => redisLock({ url: 'http://user:secret@localhost:6379' })).toThrow(/^(?!.*secret)/s);
    expect(() => redisLock({ url: 'http://user:secret@localhost:6379' })).toThrow(LockConfigurationError);
  });

  it('is refused when the token provides something else', () => {
    const factory = redisLock({ token: 'REDIS' });
    expect(() => factory({ strategy: 'redis', get: () => ({}) as never })).toThrow(/token must be a client/);
  });

  it('says which resources it locks', () => {
    expect(redisLock({ url, resources: ['stock'] })(CONTEXT).resources).toEqual(['stock']);
  });
});

describe('the Redis that is given', () => {
  let server: RedisServer;
  let plain: Redis;
  const strategies: LockStrategy[] = [];
  const clients: { disconnect(): void }[] = [];

  beforeAll(async () => {
    server = await startRedis();
    plain = new Redis(server.url, { db: 3 });
  });

  afterAll(async () => {
    plain.disconnect();
    await server.stop();
  });

  afterEach(async () => {
    await Promise.all(strategies.splice(0).map(async (strategy) => strategy.close?.()));
    clients.splice(0).forEach((client) => client.disconnect());
    await plain.flushall();
    await plain.config('SET', 'maxmemory-policy', 'noeviction');
    await plain.config('SET', 'maxmemory', '0');
  });

  async function connected(options: RedisLockOptions, context = CONTEXT): Promise<LockStrategy> {
    const strategy = redisLock(options)(context);
    strategies.push(strategy);
    await strategy.connect?.();
    return strategy;
  }

  function client(version: 5 | 6, options: object): RedisClient {
    const made = version === 5 ? new Redis5(server.url, options) : new Redis(server.url, options);
    clients.push(made);
    return made;
  }

  describe.each([5, 6] as const)('as a client of ioredis %d', (version) => {
    it('keeps its database and its key prefix, and excludes others across versions', async () => {
      const a = await connected({ client: client(version, { db: 3, keyPrefix: 'app:' }) });
      const b = await connected({ client: client((11 - version) as 5 | 6, { db: 3, keyPrefix: 'app:' }) });
      const held = await a.acquire(REQUEST);
      expect(await plain.keys('*')).toEqual(['app:lock:{stock:1}']);
      await expect(b.acquire({ ...REQUEST, waitTime: 0 })).rejects.toBeInstanceOf(LockBusyError);
      const waiting = b.acquire(REQUEST);
      await eventually('queued', async () => (await plain.zcard('app:lock:{stock:1}:queue')) === 1);
      await held.release();
      await (await waiting).release();
    });

    it('is found by its injection token', async () => {
      const provided = client(version, { db: 3 });
      const a = await connected({ token: 'REDIS' }, { strategy: 'redis', get: () => provided as never });
      await a.acquire(REQUEST);
      expect(await plain.keys('*')).toEqual(['lock:{stock:1}']);
    });

    it('follows the database that the client has selected', async () => {
      const given = client(version, { db: 0 });
      await (given as unknown as Redis).select(3);
      const a = await connected({ client: given });
      await a.acquire(REQUEST);
      expect(await plain.keys('*')).toEqual(['lock:{stock:1}']);
    });

    it('is never closed, patched, subscribed or renamed', async () => {
      const given = client(version, { db: 3, connectionName: 'mine' }) as unknown as Redis;
      await given.ping();
      const before = { own: Object.keys(given).sort(), options: { ...given.options } };
      const id = await given.client('ID');
      const a = await connected({ client: given });
      await (await a.acquire(REQUEST)).release();
      await a.drain?.();
      await a.close?.();
      expect(await given.ping()).toBe('PONG');
      expect(await given.client('ID')).toBe(id);
      expect(await given.client('GETNAME')).toBe('mine');
      expect(given.mode).toBe('normal');
      expect({ own: Object.keys(given).sort(), options: { ...given.options } }).toEqual(before);
    });
  });

  it('is refused when it drops keys under pressure', async () => {
    await plain.config('SET', 'maxmemory', '100mb');
    await plain.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const strategy = redisLock({ url: server.url })(CONTEXT);
    strategies.push(strategy);
    await expect(strategy.connect?.()).rejects.toThrow(/maxmemory-policy allkeys-lru/);
    await expect(strategy.acquire(REQUEST)).rejects.toBeInstanceOf(LockConfigurationError);
  });

  it('keeps every one away from unknown locks while it is young, when it is told to', async () => {
    const young = await startRedis();
    const always = await connected({ url: young.url, afterRestart: 'always' });
    const seen = await connected({ url: young.url });
    await (await seen.acquire({ ...REQUEST, name: 'other' })).release();
    await expect(always.acquire({ ...REQUEST, waitTime: 0 })).rejects.toBeInstanceOf(LockBusyError);
    await (await always.acquire({ ...REQUEST, name: 'third', ttl: 300 })).release();
    await Promise.all(strategies.splice(0).map(async (strategy) => strategy.close?.()));
    await young.stop();
  });

  it('gives a lock only when so many replicas have it', async () => {
    const replica = await startRedis({
      args: ['--replicaof', server.host, String(server.port), '--repl-diskless-sync-delay', '0'],
    });
    const link = new Redis(replica.url);
    const [a, b] = [
      await connected({ url: server.url, replicas: 1 }),
      await connected({ url: server.url, replicas: 1 }),
    ];
    const held = await confirmed(a);
    expect(await link.keys('*')).toEqual(['lock:{stock:1}']);
    const waiting = confirmed(b);
    await eventually('queued', async () => (await b.inspect?.('stock:1'))?.waiters.length === 1);
    await held.release();
    await (await waiting).release();
    replica.pause();
    await expect(a.acquire(REQUEST)).rejects.toThrow(/only 0 of 1 replicas/);
    replica.resume();
    await (await confirmed(b)).release();
    link.disconnect();
    await replica.stop();
  });

  /** Tried again when it is refused: the replica is late while it is connected, or the machine stalls for half a second. */
  async function confirmed(strategy: LockStrategy): Promise<StrategyLease> {
    for (const end = performance.now() + 20_000; ;) {
      try {
        return await strategy.acquire(REQUEST);
      } catch (error) {
        if (!/only 0 of 1 replicas/.test(String(error)) || performance.now() > end) throw error;
      }
    }
  }

  describe('with bypass', () => {
    it('serves its own first, at most so many, and others in their turn', async () => {
      const [a, b] = [
        await connected({ url: server.url, bypass: 2 }),
        await connected({ url: server.url, bypass: 2 }),
      ];
      const held = await a.acquire(REQUEST);
      const order: string[] = [];
      const tokens: number[] = [];
      const calls = Array.from({ length: 12 }, async (_, call) => {
        const [name, strategy] = call % 2 === 0 ? ['b', b] : ['a', a];
        const lease = await strategy.acquire(REQUEST);
        order.push(name);
        tokens.push(lease.token ?? 0);
        await lease.release();
      });
      await eventually('both are queued', async () => (await a.inspect?.('stock:1'))?.waiters.length === 2);
      await held.release();
      await Promise.all(calls);
      // a goes on with the two calls that its first grant still covers, then in turns of three.
      expect(order.join('')).toBe('aabbbaaabbba');
      expect(tokens).toEqual([...new Set(tokens)].sort((x, y) => x - y));
    });

    it('needs a fraction of a command a lock', async () => {
      const [a, b] = [
        await connected({ url: server.url, bypass: 64 }),
        await connected({ url: server.url, bypass: 64 }),
      ];
      await plain.config('RESETSTAT');
      await Promise.all(
        Array.from({ length: 50 }, async (_, call) => {
          for (let round = 0; round < 20; round += 1) {
            await (await (call % 2 === 0 ? a : b).acquire(REQUEST)).release();
          }
        }),
      );
      const stats = await plain.info('commandstats');
      expect(Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])).toBeLessThan(200);
    });

    it('leaves nothing behind when those who wait give up', async () => {
      const [a, b] = [
        await connected({ url: server.url, bypass: 2 }),
        await connected({ url: server.url, bypass: 2 }),
      ];
      const held = await a.acquire(REQUEST);
      const calls = Array.from({ length: 5 }, () => b.acquire({ ...REQUEST, waitTime: 50 }));
      for (const call of calls) await expect(call).rejects.toBeInstanceOf(LockBusyError);
      await eventually('nobody queued', async () => (await a.inspect?.('stock:1'))?.waiters.length === 0);
      await held.release();
      await (await b.acquire(REQUEST)).release();
    });
  });
});

describe.each([5, 6] as const)('a Cluster of ioredis %d', (version) => {
  let servers: RedisCluster;
  let client: Cluster | Cluster5;

  beforeAll(async () => {
    servers = await startRedisCluster();
    const options = { redisOptions: { keyPrefix: 'app:' } };
    const nodes = [...servers.nodes];
    client = version === 5 ? new Cluster5(nodes, options) : new Cluster(nodes, options);
  });

  afterAll(async () => {
    client.disconnect();
    await servers.stop();
  });

  it('excludes, waits in order, and follows a slot that moves', async () => {
    const make = async (): Promise<LockStrategy> => {
      const strategy = redisLock({ client })(CONTEXT);
      await strategy.connect?.();
      return strategy;
    };
    const [a, b] = [await make(), await make()];
    const held = await a.acquire({ ...REQUEST, ttl: 2_000 });
    const waiting = b.acquire({ ...REQUEST, ttl: 2_000 });
    await eventually('queued', async () => (await a.inspect?.('stock:1'))?.waiters.length === 1);
    const slot = await slotOf('app:lock:{stock:1}');
    const source = await servers.serverOf(slot);
    const target = servers.servers.find((server) => server !== source);
    if (target === undefined) throw new Error('There must be another server.');
    await servers.moveSlot(slot, target);
    await held.release();
    const lease = await waiting;
    expect(await a.inspect?.('stock:1')).toMatchObject({ held: true });
    await lease.release();
    for (const strategy of [a, b]) await strategy.close?.();
  });

  async function slotOf(key: string): Promise<number> {
    const node = new Redis(servers.servers[0]?.url ?? '');
    const slot = Number(await node.call('CLUSTER', 'KEYSLOT', key));
    node.disconnect();
    return slot;
  }
});
