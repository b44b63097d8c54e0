import type { LockStrategyFactory } from '../../locking/lock-strategy.js';
import { MemoryLockStrategy } from './memory-lock.strategy.js';

/** The options of {@link memoryLock}. */
export interface MemoryLockOptions {
  /** First segments of the keys that this strategy locks, where several strategies stand side by side. */
  readonly resources?: readonly string[];
  /**
   * Milliseconds that the shut-down waits for those who hold a lock.
   *
   * @defaultValue 10000
   */
  readonly shutdownTimeout?: number;
}

/**
 * A lock in the memory of one server: first come, first served, with no store at all. The right choice for exactly one
 * process, and the wrong one as soon as there are two: each would have a lock of its own.
 *
 * @publicApi
 */
export function memoryLock({
  resources = [],
  shutdownTimeout = 10_000,
}: MemoryLockOptions = {}): LockStrategyFactory {
  return ({ strategy }) => new MemoryLockStrategy(strategy, resources, shutdownTimeout);
}
