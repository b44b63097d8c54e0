import { DistributedLock } from './distributed-lock.decorator.js';
import type { LockDecorator, LockKey, MethodLockOptions } from './lock-decorator-types.js';

/**
 * Runs a scheduled method on one server and skips it on the others: {@link DistributedLock} with `whenBusy: 'skip'`,
 * which tries once unless a `waitTime` is given.
 *
 * Clocks of servers differ. Where the job may be quicker than that difference, say with `holdAtLeast` how long after
 * its start nobody may run it again: less than the interval, more than the clocks are apart.
 *
 * @example
 * ```ts
 * @Cron('0 * * * * *')
 * @ExclusiveJob('settle', { holdAtLeast: 30_000 })
 * async settle(): Promise<void> {}
 * ```
 *
 * @publicApi
 */
export function ExclusiveJob<const Key extends LockKey>(
  key: Key,
  options: Omit<MethodLockOptions, 'whenBusy'> = {},
): LockDecorator<Key, 'skip'> {
  return DistributedLock(key, { ...options, whenBusy: 'skip' });
}
