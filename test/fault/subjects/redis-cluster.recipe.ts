import { Cluster } from 'ioredis';
import { redisLock } from 'nestjs-distributed-lock/redis';
import type { WorkerRecipe } from '../worker/worker-plan';

/** The client is only a pattern for the connections of the lock: it need not connect itself. */
export const recipe: WorkerRecipe = (urls) => {
  const nodes = urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }));
  const client = new Cluster(nodes, { lazyConnect: true });
  return {
    strategy: {
      factory: redisLock({ client, afterRestart: 'always' }),
      dispose: async () => client.disconnect(),
    },
  };
};
