import { memoryLock } from 'nestjs-distributed-lock';
import type { WorkerRecipe } from '../worker/worker-plan';

export const recipe: WorkerRecipe = () => ({ strategy: memoryLock() });
