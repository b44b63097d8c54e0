import { redisLock } from 'nestjs-distributed-lock/redis';
import type { WorkerRecipe } from '../worker/worker-plan';

export const recipe: WorkerRecipe = (urls) => {
  const sentinels = urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port) }));
  return { strategy: redisLock({ options: { sentinels, name: 'locks' }, afterRestart: 'always' }) };
};
