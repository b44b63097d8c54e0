import type { LockStrategyFactory } from '../../locking/lock-strategy.js';
import { type QuorumLockOptions, resolveQuorumLockOptions } from './quorum-lock-options.js';
import { QuorumLockStrategy } from './quorum-lock.strategy.js';

/**
 * A lock on a majority of independent Redis masters (Redlock), for who may not depend on a single Redis and has no use for
 * fail-over to a replica: it works on as long as a majority of the masters answers.
 *
 * What it costs: callers ask again and again until the lock is free, in no order, and each try is two commands on every
 * node. There is no fencing token (`lease.token` is undefined), because masters that don't talk to each other can't agree
 * on a rising number, so the database can't refuse what a holder writes that has lost its lock without knowing. Two may
 * hold the lock when nodes that forgot it (restarted without their data, or with a clock that jumped) make up a majority
 * with those that never had it; a node that is seen to restart gives nobody a lock for the time of one lease. One Redis
 * with `redisLock()` has order and tokens, and is the better choice for most.
 *
 * @example
 * ```ts
 * LockModule.forRoot({
 *   strategy: quorumLock({ nodes: ['redis://one:6379', 'redis://two:6379', 'redis://three:6379'] }),
 * });
 * ```
 *
 * @throws {LockConfigurationError} an option can't work: fewer than 3 nodes, an even number, the same one twice.
 * @publicApi
 */
export function quorumLock(options: QuorumLockOptions): LockStrategyFactory {
  const resolved = resolveQuorumLockOptions(options);
  return (nest) => new QuorumLockStrategy(resolved, nest);
}
