import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { eventually } from '../../support/eventually';
import { openChannels } from '../../support/redis/open-channels';
import { type RedisServer, startRedis } from '../../support/servers/redis-server';
import type { StoreFault } from '../schedule/fault-schedule';
import type { FaultSubject, OpenSubject } from './fault-subject';

const LEASE = 1_000;

/** Faults after which a waiter's own connection, or its process, was not there when its turn came. */
export const AWAY = [
  'stop',
  'stall',
  'leave',
  'delay',
  'silence',
  'cut',
  'client-kill',
  'client-pause',
  'freeze',
  'slow-script',
  'restart-keep',
  'restart-empty',
  'failover',
];

/** One Redis, with a process that is told to keep away from what a restarted server may have forgotten. */
export const redisSubject: FaultSubject = {
  name: 'redisLock on one Redis',
  recipe: require.resolve('./redis.recipe'),
  scope: 'shared',
  processes: 3,
  tasks: 4,
  lease: LEASE,
  faults: [
    ...(['kill', 'leave', 'stop', 'delay', 'silence', 'cut', 'restart-keep', 'restart-empty'] as const),
    ...(['freeze', 'client-kill', 'client-pause', 'script-flush', 'slow-script'] as const),
  ],
  promises: {
    order: 'strict',
    fencing: true,
    deadHolder: 'keeps its lease',
    patience: 10_000,
    aftermath: 2_000,
    answer: 1_000,
    excuses: {
      exclusion: [],
      orderWhileWaiting: AWAY,
      orderWhileArriving: ['script-flush'],
      longest: 4_000,
    },
  },
  open: async () => new OpenRedis(await startRedis()),
};

/** The same Redis for processes whose calls may go ahead of each other's, and nothing else may go wrong. */
export const redisBypassSubject: FaultSubject = {
  ...redisSubject,
  name: 'redisLock with bypass',
  recipe: require.resolve('./redis-bypass.recipe'),
  promises: { ...redisSubject.promises, order: 'process' },
};

/** The same Redis through ioredis 5, whose messages come over a second connection (RESP2). */
export const redisIoredis5Subject: FaultSubject = {
  ...redisSubject,
  name: 'redisLock with ioredis 5',
  recipe: require.resolve('./redis-ioredis5.recipe'),
};

/** One Redis of our own, to be broken. */
export class OpenRedis implements OpenSubject {
  readonly urls: readonly string[];
  private readonly admin: Redis;

  constructor(private readonly server: RedisServer) {
    this.urls = [server.url];
    this.admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    this.admin.on('error', () => undefined);
  }

  async inject(kind: StoreFault, duration: number): Promise<void> {
    const { server, admin } = this;
    switch (kind) {
      case 'restart-keep':
        return server.restart({ keepData: true });
      case 'restart-empty':
        return server.restart({ keepData: false });
      case 'freeze':
        server.pause();
        await pause(duration);
        return server.resume();
      case 'client-kill':
        await admin.call('CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', 'normal');
        await admin.call('CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', 'pubsub');
        return;
      case 'client-pause':
        await admin.call('CLIENT', 'PAUSE', duration);
        return pause(duration);
      case 'script-flush':
        await admin.script('FLUSH');
        return;
      case 'slow-script':
        await admin.eval(BUSY, 0, duration * 1_000);
        return;
      case 'failover':
      case 'move-slot':
        throw new Error(`A single server has no other one, which ${kind} needs.`);
    }
  }

  /** The state of a free lock is its counter, which lives for an hour: tokens go on from there. All else is residue. */
  async residue(keys: readonly string[]): Promise<readonly string[]> {
    const { admin } = this;
    const channels = (): Promise<readonly string[]> => openChannels(admin, 'lock:*');
    await eventually('the inboxes of the dead are closed', async () => (await channels()).length === 0).catch(
      () => undefined,
    );
    const left = (await channels()).map((channel) => `the channel ${channel} still has a subscriber`);
    const known = new Set(keys.map((key) => `lock:{${key}}`));
    for (const key of await admin.keys('*')) {
      const state = known.has(key) ? await admin.get(key) : undefined;
      if (!/^\d{16}$/.test(state ?? '')) left.push(`the key "${key}" is left: ${String(state)}`);
      if ((await admin.ttl(key)) < 0) left.push(`the key "${key}" never goes away`);
    }
    return left;
  }

  /** For a store that keeps nothing but leases: what is left when every lease must be over. */
  async forgotten(): Promise<readonly string[]> {
    const { admin } = this;
    await eventually('every key is gone', async () => (await admin.dbsize()) === 0).catch(() => undefined);
    return (await admin.keys('*')).map((key) => `the key "${key}" is left`);
  }

  /** Leaves the server to whoever started it. */
  disconnect(): void {
    this.admin.disconnect();
  }

  async close(): Promise<void> {
    this.disconnect();
    await this.server.stop();
  }
}

/** Keeps the server busy for so many microseconds: nobody is answered meanwhile. */
const BUSY = `
local function now() local time = redis.call('TIME') return time[1] * 1000000 + time[2] end
local start = now()
while now() - start < tonumber(ARGV[1]) do end
`;
