import { Command } from 'ioredis';
import { type RedisCluster, startRedisCluster } from '../../support/servers/redis-cluster';
import type { StoreFault } from '../schedule/fault-schedule';
import type { FaultSubject, OpenSubject } from './fault-subject';
import { AWAY, OpenRedis, redisSubject } from './redis.subject';

/** Three masters without replicas. Each fault hits the one that serves the key whose turn it is. */
export const redisClusterSubject: FaultSubject = {
  ...redisSubject,
  name: 'redisLock on a Cluster',
  recipe: require.resolve('./redis-cluster.recipe'),
  faults: [
    ...(['kill', 'leave', 'stop', 'move-slot', 'restart-keep', 'restart-empty'] as const),
    ...(['freeze', 'client-kill', 'client-pause', 'script-flush', 'slow-script'] as const),
  ],
  promises: {
    ...redisSubject.promises,
    excuses: { ...redisSubject.promises.excuses, orderWhileWaiting: [...AWAY, 'move-slot'] },
  },
  open: async () => new OpenCluster(await startRedisCluster()),
};

class OpenCluster implements OpenSubject {
  /** Where a worker begins to ask: the masters that it is told of are reached without a proxy. */
  readonly urls: readonly string[];
  private readonly masters: readonly OpenRedis[];
  private injected = 0;

  constructor(private readonly cluster: RedisCluster) {
    this.urls = cluster.servers.map(({ url }) => url);
    this.masters = cluster.servers.map((server) => new OpenRedis(server));
  }

  async inject(kind: StoreFault, duration: number): Promise<void> {
    this.injected += 1;
    const slot = new Command('get', [`lock:{stock:${(this.injected % 2) + 1}}`]).getSlot() ?? 0;
    const place = this.cluster.servers.indexOf(await this.cluster.serverOf(slot));
    const target = this.cluster.servers[(place + 1) % this.cluster.servers.length];
    if (kind !== 'move-slot') await this.masters[place]?.inject(kind, duration);
    else if (target !== undefined) await this.cluster.moveSlot(slot, target);
    // A server that comes back serves nothing until the others have heard of it.
    await this.cluster.isWhole();
  }

  async residue(keys: readonly string[]): Promise<readonly string[]> {
    const left = await Promise.all(this.masters.map((master) => master.residue(keys)));
    return left.flatMap((lines, index) => lines.map((line) => `master ${index + 1}: ${line}`));
  }

  async close(): Promise<void> {
    this.masters.forEach((master) => master.disconnect());
    await this.cluster.stop();
  }
}
