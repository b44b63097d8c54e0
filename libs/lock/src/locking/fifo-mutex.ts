/** How long to wait for a turn, and what ends the waiting. */
export interface TurnRequest {
  /** Milliseconds; 0 tries once, `Infinity` waits for ever. */
  readonly waitTime: number;
  readonly signal?: AbortSignal;
}

/**
 * One turn at a time, in the order of arrival, within this process. Time-outs and aborts leave the order of the others
 * as it is. A turn is handed over directly: nobody can slip in between two turns.
 */
export class FifoMutex {
  private taken = false;
  /** Made when somebody has to wait: most turns are free. */
  private waiters: Set<Waiter> | undefined;

  get isTaken(): boolean {
    return this.taken;
  }

  /** How many wait. */
  get queueLength(): number {
    return this.waiters?.size ?? 0;
  }

  /** Takes the turn if it is free and nobody waits. */
  tryEnter(): boolean {
    if (this.taken) return false;
    this.taken = true;
    return true;
  }

  /**
   * Waits for the turn.
   *
   * @returns whether the turn is the caller's; false when `waitTime` is over.
   * @throws the signal's reason when it aborts first, and what {@link rejectWaiters} was given.
   */
  enter({ waitTime, signal }: TurnRequest): Promise<boolean> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (this.tryEnter()) return Promise.resolve(true);
    if (waitTime <= 0) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { settle: resolve, reject, stopListening: undefined, timer: undefined };
      this.waiters ??= new Set();
      this.waiters.add(waiter);
      if (waitTime !== Infinity) {
        waiter.timer = setTimeout(() => {
          this.forget(waiter);
          resolve(false);
        }, waitTime);
      }
      if (signal !== undefined) {
        const onAbort = (): void => {
          this.forget(waiter);
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiter.stopListening = () => signal.removeEventListener('abort', onAbort);
      }
    });
  }

  /** Hands the turn to the first who waits, or frees it. Only who has the turn may call it. */
  leave(): void {
    const next = this.waiters?.values().next().value;
    if (next === undefined) {
      this.taken = false;
      return;
    }
    this.forget(next);
    next.settle(true);
  }

  /** Ends everybody's wait, as if the wait time were over. */
  dismissWaiters(): void {
    this.endWaits((waiter) => waiter.settle(false));
  }

  /** Sends everybody who waits away. */
  rejectWaiters(reason: Error): void {
    this.endWaits((waiter) => waiter.reject(reason));
  }

  private endWaits(end: (waiter: Waiter) => void): void {
    for (const waiter of this.waiters ?? []) {
      this.forget(waiter);
      end(waiter);
    }
  }

  private forget(waiter: Waiter): void {
    this.waiters?.delete(waiter);
    clearTimeout(waiter.timer);
    waiter.stopListening?.();
  }
}

interface Waiter {
  readonly settle: (hasTurn: boolean) => void;
  readonly reject: (reason: Error) => void;
  timer: NodeJS.Timeout | undefined;
  stopListening: (() => void) | undefined;
}
