import { quorumLock } from 'nestjs-distributed-lock/redlock';
import type { WorkerRecipe } from '../worker/worker-plan';

export const recipe: WorkerRecipe = (urls) => ({
  strategy: quorumLock({ nodes: urls, retryDelay: 30, retryJitter: 30 }),
});
