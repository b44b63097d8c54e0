import { redisLock } from 'nestjs-distributed-lock/redis';
import type { WorkerRecipe } from '../worker/worker-plan';

export const recipe: WorkerRecipe = ([url = '']) => ({
  strategy: redisLock({ url, afterRestart: 'always', bypass: 8 }),
});
