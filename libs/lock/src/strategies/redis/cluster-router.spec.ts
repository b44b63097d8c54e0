import { Cluster, Redis } from 'ioredis';
import { eventually } from '../../../../../test/support/eventually';
import { startRedisCluster, type RedisCluster } from '../../../../../test/support/servers/redis-cluster';
import { LockUnavailableError } from '../../locking/lock-error.js';
import type { LockRequest, LockStrategy } from '../../locking/lock-strategy.js';
import { redisLock } from './redis-lock.js';

describe('a Cluster that is not whole when the application starts', () => {
  let servers: RedisCluster;
  let client: Cluster;
  let strategy: LockStrategy;

  beforeEach(async () => {
    servers = await startRedisCluster();
    client = new Cluster([...servers.nodes], { lazyConnect: true });
    strategy = redisLock({ client })({ strategy: 'redis', get: () => undefined as never });
  });

  afterEach(async () => {
    await strategy.close?.();
    client.disconnect();
    await servers.stop();
  });

  const request = (name: string, waitTime: number): LockRequest => ({
    name,
    waitTime,
    ttl: 3_000,
    holdAtLeast: 0,
  });

  it('keeps no application from starting, is unavailable meanwhile, and locks when it is whole', async () => {
    const [first, second] = servers.servers;
    first?.pause();
    await eventually('the others call the cluster down', async () => {
      return (await ask(second?.url ?? '', 'CLUSTER', 'INFO')).includes('cluster_state:fail');
    });
    await strategy.connect?.();
    await expect(strategy.acquire(request('stock:1', 300))).rejects.toBeInstanceOf(LockUnavailableError);
    first?.resume();
    await (await strategy.acquire(request('stock:1', 20_000))).release();
  });

  it('locks on the other masters while one does not answer, where they serve without it', async () => {
    const [first] = servers.servers;
    for (const { url } of servers.servers)
      await ask(url, 'CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
    first?.pause();
    await strategy.connect?.();
    const names = Array.from({ length: 12 }, (_, number) => `stock:${number}`);
    const tries = await Promise.all(
      names.map(async (name) => {
        const lease = await strategy.acquire(request(name, 2_000)).catch((error: unknown) => error);
        if (lease instanceof Error) return lease;
        await (lease as { release(): Promise<void> }).release();
        return undefined;
      }),
    );
    first?.resume();
    const failures = tries.filter((failure) => failure !== undefined);
    expect(failures.every((failure) => failure instanceof LockUnavailableError)).toBe(true);
    expect(failures.length).toBeLessThan(names.length);
  });
});

async function ask(url: string, command: string, ...args: string[]): Promise<string> {
  const server = new Redis(url);
  try {
    return String(await server.call(command, ...args));
  } finally {
    server.disconnect();
  }
}
