import type { LockRequest } from '../../locking/lock-strategy.js';

/** The longest that a timer of Node can run; a longer one would fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * How long one call may still wait, and what ends its waiting: its signal, or the strategy's shut-down.
 *
 * Waiting for the *lock* is limited by `waitTime`. Reaching the *database* (a connection, an answer) has a limit of its
 * own, which is never shorter than `connectTimeout`: a call that tries once needs the time to try.
 */
export class WaitLimit {
  private readonly controller = new AbortController();
  private readonly stopListening: (() => void) | undefined;

  constructor(
    private readonly waitTime: number,
    private readonly connectTimeout: number,
    private readonly startedAt: number,
    signal?: LockRequest['signal'],
  ) {
    if (signal === undefined) return;
    const onAbort = (): void => this.abort(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    this.stopListening = () => signal.removeEventListener('abort', onAbort);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get waited(): number {
    return performance.now() - this.startedAt;
  }

  /** Milliseconds that are left to wait for the lock. */
  get left(): number {
    return Math.max(0, this.waitTime - this.waited);
  }

  /** Milliseconds that are left to reach the database, before the wait for the lock is over at the latest. */
  get leftToReach(): number {
    return Math.max(0, Math.max(this.waitTime, this.connectTimeout) - this.waited);
  }

  /** Milliseconds after which an answer to a statement that waits for the lock is overdue. */
  get answerLimit(): number {
    return this.left + this.connectTimeout;
  }

  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  throwIfAborted(): void {
    if (this.signal.aborted) throw this.signal.reason as Error;
  }

  /** Must be called when the waiting is over, or the caller's signal keeps a listener. */
  end(): void {
    this.stopListening?.();
  }
}

/** What {@link within} rejects with when the limit is over. */
export class LimitOver extends Error {}

/** Settles like the promise, but not later than the limit (milliseconds) and the signal allow. */
export function within<T>(promise: Promise<T>, limit: number, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => giveUp(signal?.reason as Error);
    const timer =
      limit === Infinity
        ? undefined
        : setTimeout(
            () => giveUp(new LimitOver(`no answer within ${Math.round(limit)} ms`)),
            Math.min(limit, LONGEST_TIMER),
          );
    const stop = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const giveUp = (reason: Error): void => {
      stop();
      reject(reason);
    };
    promise.then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: Error) => {
        stop();
        reject(error);
      },
    );
    if (signal?.aborted) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Resolves after this many milliseconds, or rejects with the signal's reason. */
export function pause(duration: number, signal: AbortSignal): Promise<void> {
  return within(new Promise<void>(() => undefined), duration, signal).catch((error: unknown) => {
    if (!(error instanceof LimitOver)) throw error;
  });
}
