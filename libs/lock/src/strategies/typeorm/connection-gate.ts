import { FifoMutex, type TurnRequest } from '../../locking/fifo-mutex.js';

/**
 * Where callers wait *before* they take a connection, first come, first served.
 *
 * Two limits. Of all callers of this process that wait for one lock, only the first waits in the database: five hundred
 * callers for one row hold two connections, the holder's and the next one's. And all locks of this process together use
 * `maxConnections` connections at most, so that the application's other queries always find one.
 */
export class ConnectionGate {
  private readonly turns = new Map<string, FifoMutex>();
  private readonly slots: SlotQueue;

  constructor(readonly maxConnections: number) {
    this.slots = new SlotQueue(maxConnections);
  }

  /** How many callers wait for this lock in this process, the one that waits in the database included. */
  waiting(name: string): number {
    const turns = this.turns.get(name);
    return turns === undefined ? 0 : turns.queueLength + 1;
  }

  /** How many connections the locks of this process use. */
  get connections(): number {
    return this.slots.used;
  }

  /**
   * Waits until nobody of this process is before the caller. Hundreds may wait here, and the garbage collector copies what
   * they have in hand again and again: whoever waits should have little.
   *
   * @returns whether the turn is the caller's, who has to {@link leave} then; false when the wait time is over, or
   *   {@link dismissWaiters} has ended it.
   * @throws the signal's reason when it aborts first.
   */
  enter(name: string, request: TurnRequest): Promise<boolean> {
    const turns = this.turns.get(name);
    if (turns !== undefined) return turns.enter(request);
    const first = new FifoMutex();
    first.tryEnter();
    this.turns.set(name, first);
    return Promise.resolve(true);
  }

  /** Lets the next one go. */
  leave(name: string): void {
    const turns = this.turns.get(name);
    turns?.leave();
    // The map would grow with every key that was ever locked.
    if (turns?.isTaken === false) this.turns.delete(name);
  }

  /** Sends everybody away whose turn it is not yet. */
  dismissWaiters(): void {
    for (const turns of this.turns.values()) turns.dismissWaiters();
  }

  /** Resolves when the locks of this process use no connection any more. */
  idle(): Promise<void> {
    return this.slots.idle();
  }

  /** Waits for the right to one connection; returns how to give it back, or undefined when the limit is over. */
  takeSlot(limit: number, signal: AbortSignal): Promise<(() => void) | undefined> {
    return this.slots.take(limit, signal);
  }
}

/** A number of equal places, handed on in the order of arrival. */
class SlotQueue {
  used = 0;
  private readonly waiters = new FifoMutex();
  private onFree: (() => void) | undefined;
  private onIdle: (() => void)[] = [];

  constructor(private readonly size: number) {}

  idle(): Promise<void> {
    if (this.used === 0) return Promise.resolve();
    return new Promise((resolve) => this.onIdle.push(resolve));
  }

  async take(limit: number, signal: AbortSignal): Promise<(() => void) | undefined> {
    const startedAt = performance.now();
    if (!(await this.waiters.enter({ waitTime: limit, signal }))) return undefined;
    try {
      if (this.used >= this.size && !(await this.freed(limit - (performance.now() - startedAt), signal))) {
        return undefined;
      }
      this.used += 1;
    } finally {
      this.waiters.leave();
    }
    return once(() => {
      this.used -= 1;
      this.onFree?.();
      if (this.used === 0) for (const tell of this.onIdle.splice(0)) tell();
    });
  }

  /** Only the first of the queue is ever in here. */
  private freed(limit: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = limit === Infinity ? undefined : setTimeout(() => end(() => resolve(false)), limit);
      const onAbort = (): void => end(() => reject(signal.reason as Error));
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.onFree = undefined;
        settle();
      };
      this.onFree = () => {
        if (this.used < this.size) end(() => resolve(true));
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
