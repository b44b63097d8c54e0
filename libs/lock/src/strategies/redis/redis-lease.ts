import { LockLostError, LockNotOwnedError } from '../../locking/lock-error.js';
import type { StrategyLease } from '../../locking/lock-strategy.js';
import type { Grant } from './grant.js';

/** One call's hold of the lock: one member of a grant. */
export class RedisLease implements StrategyLease {
  private controller: AbortController | undefined;
  private lostBy: LockLostError | undefined;
  private released: Promise<void> | undefined;

  constructor(
    readonly name: string,
    readonly token: number,
    /** Local time at which it was taken. */
    readonly takenAt: number,
    readonly holdAtLeast: number,
    /** Milliseconds; what it is renewed by. */
    readonly ttl: number,
    private readonly strategy: string,
    private readonly grant: Grant,
  ) {}

  /** Made when somebody asks for it: most short locks never look. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.lostBy !== undefined) this.controller.abort(this.lostBy);
    return this.controller.signal;
  }

  get isLost(): boolean {
    return this.lostBy !== undefined;
  }

  get remaining(): number {
    if (this.lostBy !== undefined || this.released !== undefined) return 0;
    return Math.max(0, this.grant.remaining);
  }

  async extend(duration: number): Promise<void> {
    if (this.lostBy !== undefined) throw this.lostBy;
    if (this.released !== undefined) {
      throw new LockNotOwnedError(
        `The lock on "${this.name}" was released and can't be extended. Extend it before release().`,
        { key: this.name, strategy: this.strategy },
      );
    }
    await this.grant.extend(duration);
  }

  release(): Promise<void> {
    this.released ??= this.lostBy === undefined ? this.grant.release(this) : Promise.resolve();
    return this.released;
  }

  /** From now on somebody else may hold the lock. */
  lose(reason: string): LockLostError {
    const lost = this.lostBy ?? new LockLostError(reason, { key: this.name, strategy: this.strategy });
    // Who has given it back has nothing to lose.
    if (this.released !== undefined) return lost;
    this.lostBy = lost;
    this.controller?.abort(lost);
    return lost;
  }
}
