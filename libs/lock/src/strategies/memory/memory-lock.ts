import { checkKnownOptions, type OptionNames } from '../../locking/known-options.js';
import { LockConfigurationError } from '../../locking/lock-error.js';
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
 * @throws {LockConfigurationError} an option is unknown or has a wrong value.
 *
 * @publicApi
 */
export function memoryLock(options: MemoryLockOptions = {}): LockStrategyFactory {
  checkKnownOptions('memoryLock', options, OPTIONS);
  const { resources = [], shutdownTimeout = 10_000 } = options;
  if (!Array.isArray(resources)) throw wrong('resources', resources, 'a list of first segments of keys');
  if (!(shutdownTimeout >= 0 && shutdownTimeout <= LONGEST_TIMER)) {
    throw wrong('shutdownTimeout', shutdownTimeout, `a number of milliseconds from 0 to ${LONGEST_TIMER}`);
  }
  return ({ strategy }) => new MemoryLockStrategy(strategy, resources, shutdownTimeout);
}

const OPTIONS: OptionNames<MemoryLockOptions> = { resources: true, shutdownTimeout: true };

/** The longest delay that a Node timer takes. */
const LONGEST_TIMER = 2 ** 31 - 1;

function wrong(option: string, value: unknown, expected: string): LockConfigurationError {
  return new LockConfigurationError(`memoryLock: ${option} must be ${expected}, got ${String(value)}.`);
}
