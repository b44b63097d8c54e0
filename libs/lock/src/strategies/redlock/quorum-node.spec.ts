import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { eventually } from '../../../../../test/support/eventually';
import { Masters, outcome, wish } from '../../../../../test/support/redlock/masters';
import { quorumLock } from './quorum-lock.js';

describe('a node of quorumLock', () => {
  let masters: Masters;
  const lines: string[] = [];
  const clients: Redis[] = [];

  beforeEach(async () => {
    lines.length = 0;
    const note = (line: string): number => lines.push(line);
    Logger.overrideLogger({ log: note, warn: note, error: note });
    masters = await Masters.start(3);
  });
  afterEach(async () => {
    clients.splice(0).forEach((client) => client.disconnect());
    await masters.stop();
  });

  it.each([
    ['ioredis 6', Redis],
    ['ioredis 5', Redis5 as unknown as typeof Redis],
  ])(
    'may be a URL, options, a client of %s or the token of one, which stay as they are',
    async (_, Client) => {
      const [first, second, third] = masters.servers;
      const handed = new Client(first?.url ?? '', { keyPrefix: 'shop:', db: 3, connectionName: 'theirs' });
      clients.push(handed);
      const provided = new Client(second?.url ?? '', { db: 1, connectionName: 'theirs' });
      clients.push(provided);
      await provided.select(2);
      await handed.ping();
      const before = [handed, provided].map(traitsOf);
      const factory = quorumLock({
        nodes: [handed, 'REDIS', { host: '127.0.0.1', port: third?.port, keyPrefix: 'theirs:' }],
        prefix: 'p:',
      });
      const lock = masters.build(factory, provided);
      await lock.connect?.();
      const lease = await lock.acquire(wish({ name: 'stock:{1}' }));
      const value = await handed.get('p:stock:{1}');
      expect(value).toMatch(/^[0-9a-f]{32}$/);
      expect(await provided.get('p:stock:{1}')).toBe(value);
      if (third !== undefined) expect(await masters.client(third).get('theirs:p:stock:{1}')).toBe(value);
      await lease.release();
      await lock.close?.();
      expect([handed, provided].map(traitsOf)).toEqual(before);
      expect(await handed.client('GETNAME')).toBe('theirs');
      expect(await handed.ping()).toBe('PONG');
      for (const server of [first, second, third]) {
        if (server === undefined) continue;
        await eventually('no connection of the lock is left', async () => {
          const list = String(await masters.client(server).client('LIST'));
          return !list.includes('nestjs-distributed-lock');
        });
      }
    },
  );

  it('must be a server of its own: one that votes twice is refused, whatever its addresses', async () => {
    const [first, second] = masters.servers;
    const nodes = [first?.url ?? '', second?.url ?? '', `redis://localhost:${first?.port}`];
    await expect(masters.lock({ nodes })).rejects.toMatchObject({ code: 'LOCK_CONFIGURATION' });
    await expect(masters.lock({ nodes })).rejects.toThrow(/is the same server as/);
  });

  it('gives nobody a lock for the time of a lease after it was seen to restart, for it may have forgotten', async () => {
    const lock = await masters.lock();
    const { name } = wish();
    // Somebody holds it by two of three, and one of these restarts without its data.
    await masters.occupy(name, ['somebody', 'somebody', null]);
    await masters.servers[0]?.restart({ keepData: false });
    const restartedAt = performance.now();
    await eventually('the node is back', () => lines.some((line) => line.includes('answers again')));
    expect(await outcome(lock.acquire(wish({ name, ttl: 1_500 })))).toBe('LOCK_BUSY');
    const next = await lock.acquire(wish({ name, ttl: 1_500, waitTime: 10_000 }));
    expect(performance.now() - restartedAt).toBeGreaterThanOrEqual(1_500);
    await next.release();
  });

  it('is away when it restarts with the others, and says why and for how long', async () => {
    const lock = await masters.lock();
    await Promise.all(masters.servers.map((server) => server.restart({ keepData: false })));
    await eventually(
      'the nodes are back',
      () => lines.filter((line) => line.includes('answers again')).length === 3,
    );
    await expect(lock.acquire(wish({ ttl: 1_000 }))).rejects.toThrow(
      /may have forgotten who holds the lock; it votes again in \d+ ms/,
    );
    const lease = await lock.acquire(wish({ ttl: 1_000, waitTime: 10_000 }));
    await lease.release();
  });

  it('may be away at the start, all of them: the start does not fail, calls do, and work when they are back', async () => {
    await Promise.all(masters.servers.map((server) => server.kill()));
    const lock = await masters.lock();
    await expect(lock.acquire(wish({ waitTime: 100 }))).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
    await expect(lock.acquire(wish())).rejects.toThrow(/ECONNREFUSED/);
    const waiting = lock.acquire(wish({ waitTime: 20_000 }));
    await Promise.all(masters.servers.map((server) => server.restart({ keepData: true })));
    await (await waiting).release();
  });

  it('may be frozen at the start, all of them', async () => {
    masters.servers.forEach((server) => server.pause());
    const begun = performance.now();
    const lock = await masters.lock();
    expect(performance.now() - begun).toBeLessThan(4_000);
    const waiting = lock.acquire(wish({ waitTime: 20_000 }));
    expect(await outcome(lock.acquire(wish()))).toBe('LOCK_UNAVAILABLE');
    masters.servers.forEach((server) => server.resume());
    await (await waiting).release();
  });

  it('fills no log: one line when it goes, one when it is back, whatever is tried meanwhile, and none when it goes on so', async () => {
    const lock = await masters.lock();
    await Promise.all(masters.servers.slice(0, 2).map((server) => server.kill()));
    for (let round = 0; round < 30; round += 1) await outcome(lock.acquire(wish({ waitTime: 30 })));
    expect(lines.filter((line) => line.includes("can't be reached"))).toHaveLength(2);
    expect(lines).toHaveLength(2);
    await Promise.all(masters.servers.slice(0, 2).map((server) => server.restart({ keepData: true })));
    await eventually(
      'they are back',
      () => lines.filter((line) => line.includes('answers again')).length === 2,
    );
    expect(lines).toHaveLength(4);
    await masters.servers[0]?.restart({ keepData: true });
    await eventually(
      'the lock is connected to it',
      async () => (await connectionsOf(masters, 0)).length === 1,
    );
    await (await lock.acquire(wish({ waitTime: 10_000 }))).release();
    expect(lines).toHaveLength(4);
  });

  it('is connected to anew when it gives no sign of life, and gets nothing that was meant for earlier', async () => {
    const lock = await masters.lock();
    const [first] = masters.servers;
    const idsBefore = await connectionsOf(masters, 0);
    first?.pause();
    const early = await lock.acquire(wish({ ttl: 60_000 }));
    await early.release();
    // Beyond the limit for a connection; the other two go on meanwhile.
    const begun = performance.now();
    await eventually('the connection was given up', async () => {
      await outcome(lock.acquire(wish()).then((lease) => lease.release()));
      return performance.now() - begun > 5_500;
    });
    first?.resume();
    await eventually('there is another connection', async () => {
      const ids = await connectionsOf(masters, 0);
      return ids.length === 1 && ids[0] !== idsBefore[0];
    });
    await masters.untilFree(early.name);
    await eventually('it votes again', () => lines.some((line) => line.includes('answers again')));
  });

  it('warns of a server that drops keys when its memory is full', async () => {
    const [first] = masters.servers;
    if (first !== undefined) {
      await masters.client(first).config('SET', 'maxmemory', '100mb', 'maxmemory-policy', 'allkeys-lru');
    }
    await masters.lock();
    expect(lines).toEqual([expect.stringMatching(/maxmemory-policy allkeys-lru.*noeviction/)]);
  });

  it('works where INFO is forbidden', async () => {
    const nodes = await Promise.all(
      masters.servers.map(async (server) => {
        await masters
          .client(server)
          .call('ACL', 'SETUSER', 'locker', 'on', '>secret', '~*', '+@all', '-info');
        return server.url.replace('redis://', 'redis://locker:secret@');
      }),
    );
    const warn = jest.spyOn(console, 'warn').mockReturnValue(undefined);
    const lock = await masters.lock({ nodes });
    await (await lock.acquire(wish())).release();
    // Of ioredis, for its own ready check.
    warn.mockRestore();
  });

  it('is named without its password', async () => {
    const nodes = masters.urls.map((url) => url.replace('redis://', 'redis://locker:secret@'));
    const lock = await masters.lock({ nodes });
    const error: Error = await lock.acquire(wish()).then(
      () => new Error('granted'),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: 'LOCK_UNAVAILABLE' });
    expect(error.message).toMatch(/WRONGPASS/);
    expect([error.message, ...lines].join()).not.toContain('secret');
  });
});

function traitsOf(client: Redis): unknown {
  const { status, options, condition } = client as Redis & { condition: { select: number } };
  return {
    status,
    name: options.connectionName,
    db: condition.select,
    commands: Object.keys(client).filter((key) => typeof client[key as keyof Redis] === 'function'),
    listeners: client.eventNames().map((event) => [String(event), client.listenerCount(event)]),
  };
}

/** The ids of the lock's connections, on one of the masters. */
async function connectionsOf(masters: Masters, index: number): Promise<string[]> {
  const server = masters.servers[index];
  if (server === undefined) throw new Error('There is no such master.');
  const list = String(await masters.client(server).client('LIST'));
  return list
    .split('\n')
    .filter((line) => line.includes('name=nestjs-distributed-lock'))
    .map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '');
}
