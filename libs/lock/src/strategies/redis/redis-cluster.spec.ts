import { Cluster, Command, type Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { RedisLocks } from '../../../../../test/support/redis/redis-locks';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/servers/redis-cluster';
import { LockBusyError } from '../../locking/lock-error.js';
import type { LockRequest, LockStrategy, StrategyLease } from '../../locking/lock-strategy.js';

const KEY = 'lock:{stock:1}';
const QUEUE = `${KEY}:queue`;
const SLOT = new Command('get', [KEY]).getSlot() ?? 0;

describe('the lock in a Cluster', () => {
  let servers: RedisCluster;
  let client: Cluster;
  const locks = new RedisLocks(() => ({ client }));

  beforeAll(async () => {
    servers = await startRedisCluster();
    client = new Cluster([...servers.nodes]);
    client.on('error', () => undefined);
    await client.ping();
  });

  afterAll(async () => {
    client.disconnect();
    await servers.stop();
  });

  afterEach(async () => {
    await locks.close();
    await Promise.all(client.nodes('master').map((node) => node.flushall()));
  });

  const connected = (): Promise<LockStrategy> => locks.connected();

  function request(change: Partial<LockRequest> = {}): LockRequest {
    return { name: 'stock:1', waitTime: 20_000, ttl: 3_000, holdAtLeast: 0, ...change };
  }

  async function untilQueued(length: number): Promise<void> {
    await eventually(`${length} queued`, async () => (await client.zcard(QUEUE).catch(() => -1)) === length);
  }

  async function everyNode(command: (node: Redis) => Promise<unknown>): Promise<void> {
    await Promise.all(client.nodes('master').map(command));
  }

  it('locks on every node', async () => {
    const a = await connected();
    for (let name = 0; name < 50; name += 1) {
      const lease = await a.acquire(request({ name: `stock:${name}` }));
      await lease.release();
    }
  });

  it('serves calls of several processes in their order, and is busy for the rest', async () => {
    const [a, b, c] = [await connected(), await connected(), await connected()];
    const held = await a.acquire(request());
    await expect(b.acquire(request({ waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
    const { order, calls } = await lineUp([a, b, c], 12);
    await expect(b.acquire(request({ waitTime: 30 }))).rejects.toBeInstanceOf(LockBusyError);
    await held.release();
    await Promise.all(calls);
    expect(order).toEqual([...Array(12).keys()]);
  });

  it.each([
    ['wait', 20_000],
    ['only try, or are told that it is busy', 0],
  ])(
    'serves the first calls of a process in their order, though the lock becomes free between them and later ones %s',
    async (_what, waitTime) => {
      const [a, b] = [await connected(), await connected()];
      for (let number = 0; number < 20; number += 1) {
        const name = `stock:first:${number}`;
        const holder = await b.acquire(request({ name }));
        const order: string[] = [];
        const call = async (label: string, terms: Partial<LockRequest> = {}): Promise<void> => {
          const lease = await a.acquire(request({ name, ...terms }));
          order.push(label);
          await lease.release();
        };
        const first = call('first');
        const released = holder.release();
        await new Promise(process.nextTick);
        // Redis answers both meanwhile, and this process has not read so when the second call comes.
        for (const end = performance.now() + 5; performance.now() < end;);
        const second = call('second', { waitTime });
        const isBusy = await second.then(
          () => false,
          (error: unknown) => error instanceof LockBusyError,
        );
        await Promise.all([first, released]);
        expect(order).toEqual(isBusy && waitTime === 0 ? ['first'] : ['first', 'second']);
      }
    },
  );

  it('needs two commands for a lock that is free', async () => {
    const a = await connected();
    await (await a.acquire(request())).release();
    await everyNode((node) => node.config('RESETSTAT'));
    for (let round = 0; round < 20; round += 1) await (await a.acquire(request())).release();
    const stats = await Promise.all(client.nodes('master').map((node) => node.info('commandstats')));
    const calls = stats.map((text) => Number(/cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1] ?? 0));
    expect(calls.reduce((sum, each) => sum + each)).toBe(40);
  });

  it('keeps holder and order when the slot moves to another node', async () => {
    const [a, b, c] = [await connected(), await connected(), await connected()];
    const held = await a.acquire(request());
    const { order, calls } = await lineUp([a, b, c], 12);
    const source = await servers.serverOf(SLOT);
    const target = servers.servers.find((server) => server !== source) ?? source;
    await servers.moveSlot(SLOT, target);
    await eventually('all three are heard by the new node', async () => {
      const node = client.nodes('master').find(({ options }) => options.port === target.port);
      const channels = (await node?.pubsub('SHARDCHANNELS', `${KEY}*`)) as string[];
      return channels.length === 3;
    });
    await untilQueued(12);
    await held.extend(3_000);
    expect(order).toEqual([]);
    expect(held.signal.aborted).toBe(false);
    await held.release();
    await Promise.all(calls);
    expect(order).toEqual([...Array(12).keys()]);
  });

  it('renews, waits and hands on while a slot is on its way', async () => {
    const [a, b] = [await connected(), await connected()];
    const held = await a.acquire(request({ ttl: 900 }));
    const waiting = b.acquire(request({ ttl: 900 }));
    await untilQueued(1);
    const source = await servers.serverOf(SLOT);
    const target = servers.servers.find((server) => server !== source) ?? source;
    const newcomer: Promise<unknown>[] = [];
    await servers.moveSlot(SLOT, target, async () => {
      newcomer.push(a.acquire(request({ ttl: 900 })).then((lease) => lease.release()));
      const start = performance.now();
      await eventually('more than a lease has passed', () => performance.now() - start > 1_500);
      expect(held.signal.aborted).toBe(false);
    });
    await held.release();
    await (await waiting).release();
    await Promise.all(newcomer);
  });

  it('answers calls that only try while a slot is on its way, and when it has moved', async () => {
    const [a, b] = [await connected(), await connected()];
    await (await a.acquire(request())).release();
    const source = await servers.serverOf(SLOT);
    const target = servers.servers.find((server) => server !== source) ?? source;
    const tried: Promise<StrategyLease>[] = [];
    // One of its two keys is there and the other is not, so neither node can run a script for it on the way.
    await servers.moveSlot(SLOT, target, async () => {
      await everyNode((node) => node.config('RESETSTAT'));
      for (const strategy of [a, a, b]) tried.push(strategy.acquire(request({ waitTime: 0 })));
      await eventually('all were turned away', async () => {
        const node = client.nodes('master').find(({ options }) => options.port === source.port);
        const errors = (await node?.info('errorstats')) ?? '';
        return Number(/errorstat_TRYAGAIN:count=(\d+)/.exec(errors)?.[1] ?? 0) >= tried.length;
      });
    });
    const outcomes = await Promise.allSettled(tried);
    const leases = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const refusals = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    expect(leases).toHaveLength(1);
    expect(refusals).toEqual([expect.any(LockBusyError), expect.any(LockBusyError)]);
    await leases[0]?.release();
    // Nobody has told this one that the slot is somewhere else.
    const c = await connected();
    await (await c.acquire(request())).release();
    await servers.moveSlot(SLOT, source);
    await (await c.acquire(request({ waitTime: 0 }))).release();
  });

  it('locks again after all have given up a lock that no node could serve for a while', async () => {
    const [a, b] = [await connected(), await connected()];
    const held = await b.acquire(request());
    const heard = a.acquire(request());
    await untilQueued(1);
    await held.release();
    await (await heard).release();
    const source = await servers.serverOf(SLOT);
    const target = servers.servers.find((server) => server !== source) ?? source;
    const kept = await b.acquire(request());
    await servers.moveSlot(SLOT, target, async () => {
      // It is held and nobody is queued, so one of its two keys is missing: the server can't tell where that one is.
      for (const waitTime of [120, 130, 0])
        await expect(a.acquire(request({ waitTime }))).rejects.toThrow(
          /no node of the Cluster serves it now \(TRYAGAIN/,
        );
    });
    await kept.release();
    await (await a.acquire(request())).release();
  });

  it('goes on when every connection is cut', async () => {
    const [a, b] = [await connected(), await connected()];
    const held = await a.acquire(request());
    const { order, calls } = await lineUp([a, b], 6);
    await everyNode(async (node) => {
      const clients = String(await node.client('LIST')).split('\n');
      for (const each of clients.filter((line) => line.includes('name=nestjs-distributed-lock'))) {
        await node.client('KILL', 'ID', /id=(\d+)/.exec(each)?.[1] ?? '').catch(() => undefined);
      }
    });
    await eventually('both are heard again', async () => {
      const heard = await Promise.all(
        client.nodes('master').map((node) => node.pubsub('SHARDCHANNELS', `${KEY}*`) as Promise<string[]>),
      );
      return heard.flat().length === 2;
    });
    await untilQueued(6);
    await held.release();
    await Promise.all(calls);
    expect(order).toEqual([...Array(6).keys()]);
  });

  it('leaves no connection behind', async () => {
    const a = await connected();
    await (await a.acquire(request())).release();
    await a.drain?.();
    await a.close?.();
    await eventually('no connections', async () => {
      const lists = await Promise.all(client.nodes('master').map((node) => node.client('LIST')));
      return !lists.some((list) => String(list).includes('name=nestjs-distributed-lock'));
    });
  });

  async function lineUp(
    from: readonly LockStrategy[],
    length: number,
  ): Promise<{ order: number[]; calls: Promise<void>[] }> {
    const order: number[] = [];
    const calls: Promise<void>[] = [];
    for (let call = 0; call < length; call += 1) {
      const waiting = from[call % from.length]?.acquire(request());
      if (waiting === undefined) throw new Error('There must be strategies.');
      calls.push(
        waiting.then(async (lease) => {
          order.push(call);
          await lease.release();
        }),
      );
      await untilQueued(call + 1);
    }
    return { order, calls };
  }
});
