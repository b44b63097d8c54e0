import { redisLock } from 'nestjs-distributed-lock/redis';
import type { WorkerRecipe } from '../worker/worker-plan';

/** `always`: also a process that is started right after Redis lost its data keeps away from what it doesn't know. */
export const recipe: WorkerRecipe = ([url = '']) => ({
  strategy: redisLock({ url, afterRestart: 'always' }),
});
