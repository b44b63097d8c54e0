import {
  type LockRequest,
  LockStrategy,
  type LockStrategyFactory,
  type LockTraits,
  type StrategyLease,
} from 'nestjs-distributed-lock';

/** Lets everybody in at once. Only there to show what a lock is for: the same shop oversells with it. */
export function noLock(): LockStrategyFactory {
  return () => new NoLock();
}

class NoLock extends LockStrategy {
  // The least that a strategy can promise; that it promises nothing has no word.
  readonly traits: LockTraits = { scope: 'process', order: 'none', fencing: false };

  acquire({ name }: LockRequest): Promise<StrategyLease> {
    return Promise.resolve({
      name,
      token: undefined,
      signal: new AbortController().signal,
      remaining: Infinity,
      extend: () => Promise.resolve(),
      release: () => Promise.resolve(),
    });
  }
}
