import type { LockStrategyFactory, StrategyLease } from 'nestjs-distributed-lock';
import type { StrategySetup } from 'nestjs-distributed-lock/testing';

/** What one life of a worker is to do. */
export interface WorkerPlan {
  readonly process: string;
  readonly life: number;
  /** The file that exports a {@link WorkerRecipe} named `recipe`. */
  readonly recipe: string;
  /** The addresses of the servers, through this worker's proxies. */
  readonly urls: readonly string[];
  readonly historyFile: string;
  readonly keys: readonly [string, ...string[]];
  /** How many of its calls are under way at once. */
  readonly tasks: number;
  /** Milliseconds. */
  readonly lease: number;
  readonly seed: number;
  /** `probe` takes each lock once and ends; `work` goes on until it is told to end. */
  readonly mode: 'work' | 'probe';
}

/** Makes the strategy of a worker, and what its holders do with the lock. */
export type WorkerRecipe = (urls: readonly string[]) => Promise<WorkerSubject> | WorkerSubject;

export interface WorkerSubject {
  readonly strategy: LockStrategyFactory | StrategySetup;
  /** Done while the lock is held, in its transaction, if it has one: that is committed when the work succeeds. */
  readonly work?: (lease: StrategyLease, call: string) => Promise<void>;
}

/** From the harness to a worker. `leave` is a shut-down in the middle of the work, `stop` waits for it to end. */
export type WorkerCommand = 'stop' | 'leave';
