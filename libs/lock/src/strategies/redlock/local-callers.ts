import { FifoMutex } from '../../locking/fifo-mutex.js';
import type { Acquisition } from './acquisition.js';
import type { QuorumLease } from './quorum-lease.js';

/** How long, in milliseconds, the callers of one process may pass a lock to each other before others get a chance. */
const FAIR_SHARE = 1_000;

/**
 * The callers of this process for one name. Only one of them at a time asks the nodes, so that the load does not grow with
 * the number of callers.
 */
export class LocalCallers {
  readonly turns = new FifoMutex();
  /** What one of them holds. */
  lease: QuorumLease | undefined;
  /** Calls that have not been answered yet. */
  readonly pending = new Set<Acquisition>();
  private ownedSince: number | undefined;

  granted(lease: QuorumLease): void {
    this.lease = lease;
    this.ownedSince ??= performance.now();
  }

  ended(lease: QuorumLease): void {
    if (this.lease === lease) this.lease = undefined;
  }

  /** Others had a chance. */
  passedOn(): void {
    this.ownedSince = undefined;
  }

  /** A caller of this process learns of a release at once, one of another process only when it tries again. */
  takesTooMuch(): boolean {
    return this.ownedSince !== undefined && performance.now() - this.ownedSince > FAIR_SHARE;
  }

  get isIdle(): boolean {
    return this.pending.size === 0 && this.lease === undefined;
  }
}
