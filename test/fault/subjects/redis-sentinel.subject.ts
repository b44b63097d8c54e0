import { Redis } from 'ioredis';
import { eventually } from '../../support/eventually';
import { type SentinelTrio, startSentinels } from '../../support/servers/redis-sentinel';
import type { StoreFault } from '../schedule/fault-schedule';
import type { FaultSubject, OpenSubject } from './fault-subject';
import { OpenRedis, redisSubject } from './redis.subject';

/**
 * A master and a replica behind three Sentinels. What the master had not sent to the replica is lost at a fail-over:
 * then two may hold a lock, and nothing else may go wrong.
 */
export const redisSentinelSubject: FaultSubject = {
  ...redisSubject,
  name: 'redisLock behind Sentinel',
  recipe: require.resolve('./redis-sentinel.recipe'),
  faults: ['kill', 'leave', 'stop', 'client-kill', 'script-flush', 'slow-script', 'failover'],
  promises: {
    ...redisSubject.promises,
    excuses: { ...redisSubject.promises.excuses, exclusion: ['failover'] },
  },
  open: async () => new OpenSentinels(await startSentinels('locks')),
};

class OpenSentinels implements OpenSubject {
  /** Of the Sentinels: they say where the master is. */
  readonly urls: readonly string[];

  constructor(private readonly trio: SentinelTrio) {
    this.urls = trio.addresses.map(({ host, port }) => `redis://${host}:${port}`);
  }

  async inject(kind: StoreFault, duration: number): Promise<void> {
    if (kind !== 'failover') return this.onMaster((master) => master.inject(kind, duration));
    await this.trio.failOver();
    // A second fail-over needs somebody to fail over to.
    await eventually('the old master is a replica, and in sync', () => this.hasReplica(), 60_000);
  }

  residue(keys: readonly string[]): Promise<readonly string[]> {
    return this.onMaster((master) => master.residue(keys));
  }

  close(): Promise<void> {
    return this.trio.stop();
  }

  private async onMaster<T>(work: (master: OpenRedis) => Promise<T>): Promise<T> {
    const master = new OpenRedis(await this.trio.master());
    try {
      return await work(master);
    } finally {
      master.disconnect();
    }
  }

  private async hasReplica(): Promise<boolean> {
    for (const { url } of this.trio.servers) {
      const client = new Redis(url);
      client.on('error', () => undefined);
      const info = await client.info('replication').catch(() => '');
      client.disconnect();
      if (info.includes('role:slave') && info.includes('master_link_status:up')) return true;
    }
    return false;
  }
}
