import type { LockStrategy, StrategyLease } from './lock-strategy.js';

/** One of the locks that a {@link Lease} stands for. */
export interface LeasePart {
  readonly strategyName: string;
  readonly strategy: LockStrategy;
  readonly lease: StrategyLease;
  /** Another call of this async context took it and will release it; this one is only inside of it too. */
  readonly borrowed: boolean;
}

/** Runs work inside of the transactions of the locks that are held, so that its queries, and its locks, join them. */
export function joinTransactions<T>(parts: readonly LeasePart[], work: () => Promise<T>): Promise<T> {
  return parts.reduceRight<() => Promise<T>>((inner, { lease: { transaction } }) => {
    return transaction === undefined ? inner : () => transaction.run(inner);
  }, work)();
}

/** Whether the lock was lost; asks for no signal that does not exist yet. */
export function isLost({ lease }: LeasePart): boolean {
  return lease.isLost ?? lease.signal.aborted;
}
