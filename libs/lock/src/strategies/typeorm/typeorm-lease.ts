import { LockLostError, LockNotOwnedError } from '../../locking/lock-error.js';
import type { LeaseTransaction, StrategyLease } from '../../locking/lock-strategy.js';
import { LockUnavailableError } from '../../locking/lock-error.js';
import { errorText } from './driver-error.js';
import type { LockTransaction } from './lock-transaction.js';

export interface LeaseParts {
  readonly name: string;
  readonly token: number | undefined;
  readonly strategy: string;
}

/** What every lease of this strategy does alike: it knows its loss, and ends once. */
abstract class TypeormLease implements StrategyLease {
  private readonly loss = new AbortController();
  protected over = false;

  constructor(protected readonly parts: LeaseParts) {}

  abstract readonly remaining: number;
  abstract readonly transaction: LeaseTransaction;
  protected abstract prolong(duration: number): Promise<void>;
  protected abstract end(): Promise<void>;

  get name(): string {
    return this.parts.name;
  }

  get token(): number | undefined {
    return this.parts.token;
  }

  get signal(): AbortSignal {
    return this.loss.signal;
  }

  async extend(duration: number): Promise<void> {
    if (this.signal.aborted) throw this.signal.reason as Error;
    const { name: key, strategy } = this.parts;
    if (this.over) {
      throw new LockNotOwnedError(
        `"${key}" can't be extended: this lease was released. Take the lock again.`,
        {
          key,
          strategy,
        },
      );
    }
    try {
      await this.prolong(duration);
    } catch (error) {
      if (this.loss.signal.aborted) throw this.signal.reason as Error;
      throw new LockUnavailableError(`it could not be extended (${errorText(error)})`, {
        key,
        strategy,
        cause: error,
      });
    }
  }

  async release(): Promise<void> {
    if (this.over) return;
    this.over = true;
    await this.end();
  }

  protected lose(reason: string): void {
    if (this.over) return;
    const { name: key, strategy } = this.parts;
    this.loss.abort(new LockLostError(reason, { key, strategy }));
  }
}

/** A lock that has a transaction of its own. */
export class OwnLease extends TypeormLease {
  readonly transaction: LeaseTransaction;

  constructor(
    parts: LeaseParts,
    private readonly lockTransaction: LockTransaction,
    private readonly onReleased: () => void,
  ) {
    super(parts);
    this.transaction = {
      run: (work) => lockTransaction.run(work),
      commit: () => lockTransaction.commit(),
    };
    lockTransaction.onLost((reason) => this.lose(reason));
  }

  get remaining(): number {
    return this.over ? 0 : this.lockTransaction.remaining;
  }

  protected prolong(duration: number): Promise<void> {
    return this.lockTransaction.extend(duration);
  }

  protected async end(): Promise<void> {
    await this.lockTransaction.rollback();
    this.onReleased();
  }
}

/** A lock that was taken inside an open transaction of ours: it ends with it, so a release has nothing to do. */
export class JoinedLease extends TypeormLease {
  readonly transaction: LeaseTransaction;
  private readonly stopListening: () => void;

  constructor(
    parts: LeaseParts,
    private readonly lockTransaction: LockTransaction,
  ) {
    super(parts);
    this.transaction = { run: (work) => lockTransaction.run(work), commit: () => Promise.resolve() };
    this.stopListening = lockTransaction.onLost((reason) => this.lose(reason));
  }

  get remaining(): number {
    return this.over ? 0 : this.lockTransaction.remaining;
  }

  protected prolong(duration: number): Promise<void> {
    return this.lockTransaction.extend(duration);
  }

  protected end(): Promise<void> {
    this.stopListening();
    return Promise.resolve();
  }
}

/** A lock that was taken inside somebody else's transaction: only they know its end. */
export class ForeignLease extends TypeormLease {
  readonly transaction: LeaseTransaction = { run: (work) => work(), commit: () => Promise.resolve() };
  private stopListening: () => void = () => undefined;

  get remaining(): number {
    return this.over || this.signal.aborted ? 0 : Infinity;
  }

  async watch(onLost: (listener: (reason: string) => void) => Promise<() => void>): Promise<this> {
    this.stopListening = await onLost((reason) => this.lose(reason));
    return this;
  }

  protected prolong(): Promise<void> {
    return Promise.resolve();
  }

  protected end(): Promise<void> {
    this.stopListening();
    return Promise.resolve();
  }
}
