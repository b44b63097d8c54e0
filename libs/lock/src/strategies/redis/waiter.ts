import type { LockRequest, StrategyLease } from '../../locking/lock-strategy.js';
import type { Place, Turn } from './place.js';

/** Who a call waits at. */
export interface WaiterHost {
  /** The call waited for as long as it wanted to. */
  timedOut(waiter: Waiter): void;
  /** The call's signal has aborted. */
  aborted(waiter: Waiter): void;
  /** Its wait is over, in whatever way. */
  settled(waiter: Waiter): void;
}

/**
 * One call that wants the lock. Settled once: by its lease, or by what ended its wait. In strict order it has a turn,
 * and so a place, of its own.
 */
export class Waiter implements Turn {
  readonly promise: Promise<StrategyLease>;
  /** Its place in Redis' queue, where it has one of its own. */
  place: Place | undefined;
  private resolve!: (lease: StrategyLease) => void;
  private rejectPromise!: (error: unknown) => void;
  private abort: (() => void) | undefined;
  private done = false;

  constructor(
    readonly request: LockRequest,
    readonly startedAt: number,
    private readonly host: WaiterHost,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.rejectPromise = reject;
    });
    const { signal } = request;
    if (signal === undefined) return;
    this.abort = () => host.aborted(this);
    signal.addEventListener('abort', this.abort, { once: true });
  }

  get waits(): boolean {
    return this.request.waitTime > 0;
  }

  get settled(): boolean {
    return this.done;
  }

  get wanted(): boolean {
    return !this.done;
  }

  next(): Waiter | undefined {
    return this.done ? undefined : this;
  }

  /** It is settled by being served. */
  take(): void {}

  timeOut(): void {
    this.host.timedOut(this);
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
    this.host.settled(this);
    if (this.abort !== undefined) this.request.signal?.removeEventListener('abort', this.abort);
  }
}
