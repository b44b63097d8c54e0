import { Redis } from 'ioredis5';
import { redisLock } from 'nestjs-distributed-lock/redis';
import type { WorkerRecipe } from '../worker/worker-plan';

/** The client is only a pattern for the connections of the lock: it need not connect itself. */
export const recipe: WorkerRecipe = ([url = '']) => {
  const client = new Redis(url, { lazyConnect: true });
  return {
    strategy: {
      factory: redisLock({ client, afterRestart: 'always' }),
      dispose: async () => client.disconnect(),
    },
  };
};
