import type { LockRequest, StrategyLease } from '../../locking/lock-strategy.js';
import type { Place } from './place.js';

/** setTimeout takes no more. Who waits for 24 days waits for ever. */
const LONGEST_TIMER = 2_147_483_647;

/**
 * How long a call that does not want to wait, gives Redis to answer. It is no wait for the lock: without a connection
 * it fails at once.
 */
const ANSWER_LIMIT = 1_000;

/** One call that wants the lock. Settled once: by its lease, or by what ended its wait. */
export class Waiter {
  readonly promise: Promise<StrategyLease>;
  /** Its place in Redis' queue, where it has one of its own. */
  place: Place | undefined;
  private resolve!: (lease: StrategyLease) => void;
  private rejectPromise!: (error: unknown) => void;
  private timer: NodeJS.Timeout | undefined;
  private done = false;
  private readonly abort = (): void => this.onAbort(this);

  constructor(
    readonly request: LockRequest,
    readonly startedAt: number,
    private readonly onTimeout: (waiter: Waiter) => void,
    private readonly onAbort: (waiter: Waiter) => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.rejectPromise = reject;
    });
    const limit = request.waitTime === 0 ? ANSWER_LIMIT : request.waitTime;
    if (limit <= LONGEST_TIMER) this.timer = setTimeout(() => this.onTimeout(this), limit);
    request.signal?.addEventListener('abort', this.abort, { once: true });
  }

  get waits(): boolean {
    return this.request.waitTime > 0;
  }

  get settled(): boolean {
    return this.done;
  }

  grant(lease: StrategyLease): void {
    this.settle();
    this.resolve(lease);
  }

  reject(error: unknown): void {
    if (this.done) return;
    this.settle();
    this.rejectPromise(error);
  }

  private settle(): void {
    this.done = true;
    clearTimeout(this.timer);
    this.request.signal?.removeEventListener('abort', this.abort);
  }
}
