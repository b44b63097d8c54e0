import type { LockStrategy, StrategyLease } from './lock-strategy.js';

/** One of the locks that a {@link Lease} stands for. */
export interface LeasePart {
  readonly strategyName: string;
  readonly strategy: LockStrategy;
  readonly lease: StrategyLease;
  /** The lease of another call of this async context that took it and will release it: this one is only inside of it too. */
  readonly borrowedFrom: { readonly isReleased: boolean; settle(): () => void } | undefined;
}

/** A lock that could not be given back: it ends with its lease. */
export interface ReleaseFailure {
  readonly key: string;
  readonly strategy: string;
  readonly error: unknown;
}

/** Runs work inside of the transactions of the locks that are held, so that its queries, and its locks, join them. */
export function joinTransactions<T>(parts: readonly LeasePart[], work: () => Promise<T>): Promise<T> {
  return parts.reduceRight<() => Promise<T>>((inner, { lease: { transaction } }) => {
    return transaction === undefined ? inner : () => transaction.run(inner);
  }, work)();
}

/** Whether the lease that has this part took it, and so will release it. */
export function isOwn({ borrowedFrom }: LeasePart): boolean {
  return borrowedFrom === undefined;
}

/** Whether the lock was lost; asks for no signal that does not exist yet. */
export function isLost({ lease }: LeasePart): boolean {
  return lease.isLost ?? lease.signal.aborted;
}
