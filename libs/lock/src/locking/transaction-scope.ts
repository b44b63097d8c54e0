import { FifoMutex } from './fifo-mutex.js';
import { LeaseAround } from './lease-around.js';
import type { ReleaseFailure } from './lease-part.js';
import { LockBusyError, LockNotOwnedError } from './lock-error.js';
import type { LockRequest, LockStrategy, StrategyLease } from './lock-strategy.js';

/**
 * An open transaction of ours, and the locks that were taken inside of it. They are given back only when the
 * transaction has ended: whoever gets such a lock next must see what was written under it, and before the commit
 * nobody can. Calls of the same transaction that want one of these locks meanwhile take turns in it.
 */
export class TransactionScope {
  private readonly locks = new Map<LockStrategy, Map<string, ScopedLock>>();
  private ended = false;

  get isOpen(): boolean {
    return !this.ended;
  }

  /** Why a lock of this transaction was lost, if one was: the transaction must not be committed then. */
  get loss(): Error | undefined {
    const lost = this.all().find((lock) => lock.lease?.signal.aborted);
    return lost?.lease?.signal.reason as Error | undefined;
  }

  /** Takes a lock until the end of the transaction. Releasing the lease only lets the next call of this transaction in. */
  async acquire(strategy: LockStrategy, strategyName: string, request: LockRequest): Promise<StrategyLease> {
    const lock = this.lockOf(strategy, strategyName, request.name);
    const askedAt = performance.now();
    if (!(await lock.turns.enter(request))) {
      throw new LockBusyError({
        key: request.name,
        strategy: strategyName,
        waited: performance.now() - askedAt,
        holder: 'another call inside the same transaction',
      });
    }
    try {
      if (this.ended) throw endedMeanwhile(request.name, strategyName);
      if (lock.lease?.signal.aborted) throw lock.lease.signal.reason as Error;
      const waited = performance.now() - askedAt;
      lock.lease ??= await strategy.acquire({ ...request, waitTime: Math.max(0, request.waitTime - waited) });
    } catch (error) {
      lock.turns.leave();
      throw error;
    }
    return new ScopedLease(lock.lease, () => this.leave(lock));
  }

  /**
   * Gives every lock back, the last one first. A call that is still at work, left behind, gives its own back itself.
   *
   * @returns those that could not be given back. Never rejects, for what the transaction came to is decided.
   */
  async end(): Promise<readonly ReleaseFailure[]> {
    this.ended = true;
    const failures: ReleaseFailure[] = [];
    const idle = this.all().filter((lock) => !lock.turns.isTaken);
    for (const lock of idle.reverse()) {
      const { name: key, strategyName: strategy } = lock;
      await giveBack(lock).catch((error: unknown) => failures.push({ key, strategy, error }));
    }
    return failures;
  }

  private async leave(lock: ScopedLock): Promise<void> {
    // A lock that lives in a database transaction is kept by the database until that transaction ended.
    try {
      if (this.ended || lock.lease?.transaction !== undefined) await giveBack(lock);
    } finally {
      lock.turns.leave();
    }
  }

  private lockOf(strategy: LockStrategy, strategyName: string, name: string): ScopedLock {
    const named = this.locks.get(strategy) ?? new Map<string, ScopedLock>();
    const lock = named.get(name) ?? { name, strategyName, turns: new FifoMutex(), lease: undefined };
    this.locks.set(strategy, named.set(name, lock));
    return lock;
  }

  private all(): ScopedLock[] {
    return [...this.locks.values()].flatMap((named) => [...named.values()]);
  }
}

interface ScopedLock {
  readonly name: string;
  readonly strategyName: string;
  readonly turns: FifoMutex;
  lease: StrategyLease | undefined;
}

/** The lease of one call inside of a transaction: what it releases is its turn, not the lock. */
class ScopedLease extends LeaseAround {
  private released = false;

  constructor(
    lease: StrategyLease,
    private readonly leave: () => Promise<void>,
  ) {
    super(lease);
  }

  override async release(): Promise<void> {
    if (this.released) return;
    this.released = true;
    await this.leave();
  }
}

async function giveBack(lock: ScopedLock): Promise<void> {
  const { lease } = lock;
  lock.lease = undefined;
  await lease?.release();
}

function endedMeanwhile(key: string, strategy: string): LockNotOwnedError {
  return new LockNotOwnedError(
    `"${key}" was asked for inside of a transaction that ended while the call waited. Await the call before the transaction ends.`,
    { key, strategy },
  );
}
