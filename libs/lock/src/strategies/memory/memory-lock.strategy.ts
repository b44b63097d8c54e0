import { FifoMutex } from '../../locking/fifo-mutex.js';
import {
  LockBusyError,
  LockLostError,
  LockNotOwnedError,
  LockShutdownError,
} from '../../locking/lock-error.js';
import {
  LockStrategy,
  type LockInspection,
  type LockRequest,
  type LockTraits,
  type StrategyLease,
} from '../../locking/lock-strategy.js';

/**
 * A lock within one application of one process: a queue in memory, first come, first served. Its holder can't vanish
 * without the lock vanishing too, so a lease never lapses by itself and `ttl` means nothing here.
 */
export class MemoryLockStrategy extends LockStrategy {
  override readonly traits: LockTraits = { scope: 'process', order: 'strict', fencing: true };
  private readonly locks = new Map<string, MemoryLock>();
  private lastToken = 0;
  private shutDown: Promise<void> | undefined;
  private everythingReleased: (() => void) | undefined;

  constructor(
    private readonly name: string,
    override readonly resources: readonly string[],
    private readonly shutdownTimeout: number,
  ) {
    super();
  }

  override acquire(request: LockRequest): Promise<StrategyLease> {
    const { name, signal } = request;
    if (this.shutDown !== undefined) return Promise.reject(this.refusal(name));
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const lock = this.lockOf(name);
    // Most locks are free.
    if (lock.turns.tryEnter()) return Promise.resolve(this.grant(lock, request.holdAtLeast));
    return this.wait(request, lock);
  }

  private async wait(request: LockRequest, lock: MemoryLock): Promise<StrategyLease> {
    const { name } = request;
    const askedAt = performance.now();
    let hasTurn = false;
    try {
      hasTurn = await lock.turns.enter(request);
    } finally {
      if (!hasTurn) this.forgetIfIdle(lock);
    }
    if (hasTurn && this.shutDown !== undefined) {
      this.handOn(lock);
      throw this.refusal(name);
    }
    if (hasTurn) return this.grant(lock, request.holdAtLeast);
    throw new LockBusyError({
      key: name,
      strategy: this.name,
      waited: performance.now() - askedAt,
      queueLength: lock.turns.queueLength,
    });
  }

  override inspect(name: string): Promise<LockInspection> {
    const lock = this.locks.get(name);
    const waiters = Array.from({ length: lock?.turns.queueLength ?? 0 }, (_, place) => `waiter ${place + 1}`);
    if (lock === undefined) return Promise.resolve({ name, held: false, waiters });
    const { holder } = lock;
    return Promise.resolve({
      name,
      held: true,
      holder: holder === undefined ? 'holdAtLeast of an earlier holder' : `process ${process.pid}`,
      since: holder?.since,
      token: holder?.token,
      waiters,
    });
  }

  override forceRelease(name: string): Promise<boolean> {
    const lock = this.locks.get(name);
    // Without either the turn is on its way to the next holder, who did not have it yet: passed on twice, two would have it.
    if (lock?.holder === undefined && lock?.heldOver === undefined) return Promise.resolve(false);
    lock.holder?.lose('it was released by force');
    this.handOn(lock);
    return Promise.resolve(true);
  }

  override drain(): Promise<void> {
    this.shutDown ??= this.waitForHolders();
    return this.shutDown;
  }

  override async close(): Promise<void> {
    await this.drain();
    for (const lock of this.locks.values()) clearTimeout(lock.heldOver);
    this.locks.clear();
  }

  /** A lease of this strategy is given back. */
  giveBack(lock: MemoryLock, lease: MemoryLease): void {
    lock.holder = undefined;
    const holdOver = lease.closedUntil === 0 ? 0 : lease.closedUntil - performance.now();
    if (holdOver <= 0) return this.handOn(lock);
    lock.heldOver = this.later(holdOver, () => this.handOn(lock));
    this.tellOfRelease();
  }

  private grant(lock: MemoryLock, holdAtLeast: number): StrategyLease {
    this.lastToken += 1;
    const closedUntil = holdAtLeast === 0 ? 0 : performance.now() + holdAtLeast;
    lock.holder = new MemoryLease(lock, this.lastToken, closedUntil, this);
    return lock.holder;
  }

  private handOn(lock: MemoryLock): void {
    if (lock.heldOver !== undefined) clearTimeout(lock.heldOver);
    lock.heldOver = undefined;
    lock.holder = undefined;
    lock.turns.leave();
    this.forgetIfIdle(lock);
    this.tellOfRelease();
  }

  private tellOfRelease(): void {
    if (this.everythingReleased !== undefined && !this.hasHolders()) this.everythingReleased();
  }

  private lockOf(name: string): MemoryLock {
    let lock = this.locks.get(name);
    if (lock === undefined) {
      lock = { name, turns: new FifoMutex(), holder: undefined, heldOver: undefined };
      this.locks.set(name, lock);
    }
    return lock;
  }

  /** Keeps the map from growing with every key that was ever locked. */
  private forgetIfIdle(lock: MemoryLock): void {
    if (!lock.turns.isTaken && this.locks.get(lock.name) === lock) this.locks.delete(lock.name);
  }

  private async waitForHolders(): Promise<void> {
    for (const [name, lock] of this.locks) lock.turns.rejectWaiters(this.refusal(name));
    if (!this.hasHolders()) return;
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, this.shutdownTimeout);
      this.everythingReleased = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  private hasHolders(): boolean {
    for (const lock of this.locks.values()) if (lock.holder !== undefined) return true;
    return false;
  }

  private refusal(name: string): LockShutdownError {
    return new LockShutdownError(`"${name}" can't be locked: the application is shutting down.`, {
      key: name,
      strategy: this.name,
    });
  }

  /** A lock that is only held over keeps no process alive. */
  private later(delay: number, action: () => void): NodeJS.Timeout {
    return setTimeout(action, delay).unref();
  }
}

interface MemoryLock {
  readonly name: string;
  readonly turns: FifoMutex;
  holder: MemoryLease | undefined;
  /** Runs while a released lock is kept for its `holdAtLeast`. */
  heldOver: NodeJS.Timeout | undefined;
}

class MemoryLease implements StrategyLease {
  private readonly takenAt = Date.now();
  private loss: AbortController | undefined;
  private over = false;

  constructor(
    private readonly lock: MemoryLock,
    readonly token: number,
    /** Milliseconds of the monotonic clock (`holdAtLeast`), or 0. */
    readonly closedUntil: number,
    private readonly strategy: MemoryLockStrategy,
  ) {}

  get name(): string {
    return this.lock.name;
  }

  get since(): Date {
    return new Date(this.takenAt);
  }

  /** Made when somebody asks: almost nobody does, and it costs more than the rest of the lock. */
  get signal(): AbortSignal {
    this.loss ??= new AbortController();
    return this.loss.signal;
  }

  get isLost(): boolean {
    return this.loss?.signal.aborted === true;
  }

  get remaining(): number {
    return this.over ? 0 : Infinity;
  }

  extend(): Promise<void> {
    if (this.isLost) return Promise.reject(this.signal.reason as Error);
    if (!this.over) return Promise.resolve();
    return Promise.reject(
      new LockNotOwnedError(
        `"${this.name}" can't be extended: this lease was released. Take the lock again.`,
        {
          key: this.name,
        },
      ),
    );
  }

  release(): Promise<void> {
    if (!this.over) {
      this.over = true;
      this.strategy.giveBack(this.lock, this);
    }
    return Promise.resolve();
  }

  lose(reason: string): void {
    this.over = true;
    this.loss ??= new AbortController();
    this.loss.abort(new LockLostError(reason, { key: this.name }));
  }
}
