import { LockLostError, LockNotOwnedError } from './lock-error.js';
import { insideLease, openScope } from './lock-context.js';
import { isLost, isOwn, joinTransactions, type LeasePart, type ReleaseFailure } from './lease-part.js';
import type { LockStrategy } from './lock-strategy.js';
import { TransactionScope } from './transaction-scope.js';

/** What a {@link Lease} is made with. */
export interface LeaseTerms {
  readonly keys: readonly string[];
  /** In the order in which they were taken; none where the work runs without a lock. */
  readonly parts: readonly LeasePart[];
  /** Milliseconds after which the lease gives up by itself. */
  readonly holdAtMost: number | undefined;
  /** Told once, when the locks were given back. */
  readonly onReleased: (failures: readonly ReleaseFailure[]) => void;
}

/**
 * A lock that is held, or several. Release it, or let `await using` do so.
 *
 * With a strategy whose lock is a database transaction (`typeormLock`), what {@link Lease.run} writes belongs to that
 * transaction: it is committed by the release when all of it succeeded, and rolled back otherwise.
 *
 * @publicApi
 */
export class Lease implements AsyncDisposable {
  readonly keys: readonly string[];
  private readonly endsTransaction: boolean;
  private readonly scope: TransactionScope | undefined;
  private readonly overtime: Overtime | undefined;
  private combined: AbortSignal | undefined;
  private running = 0;
  private outcome: 'none' | 'succeeded' | 'failed' = 'none';
  private releasing: Promise<void> | undefined;
  private settling: Promise<void> | undefined;

  /** @internal */
  constructor(private readonly terms: LeaseTerms) {
    this.keys = terms.keys;
    this.endsTransaction = terms.parts.some((part) => isOwn(part) && part.lease.transaction !== undefined);
    this.scope = this.endsTransaction && openScope() === undefined ? new TransactionScope() : undefined;
    if (terms.holdAtMost !== undefined) this.overtime = this.limit(terms.holdAtMost);
  }

  /** The key, or the first one of several. */
  get key(): string {
    return this.keys[0] ?? '';
  }

  /** The fencing token of the first key: rises with every holder. Undefined where the strategy has none. */
  get token(): number | undefined {
    return this.parts[0]?.lease.token;
  }

  /** The fencing token of each key that has one. */
  get tokens(): ReadonlyMap<string, number> {
    const tokens = new Map<string, number>();
    for (const { lease } of this.parts) if (lease.token !== undefined) tokens.set(lease.name, lease.token);
    return tokens;
  }

  /**
   * Aborts, with a `LockLostError` as its reason, when the lock is lost. Hand it to whatever can be stopped. A release is
   * no loss: work that was left behind without `await` learns of it by {@link Lease.assertHeld}.
   */
  get signal(): AbortSignal {
    this.combined ??= combine([
      ...this.parts.map((part) => part.lease.signal),
      ...(this.overtime === undefined ? [] : [this.overtime.signal]),
    ]);
    return this.combined;
  }

  /** Milliseconds until the lock is lost unless it is renewed; 0 once it is lost or released. */
  get remaining(): number {
    if (this.isReleased || this.isLost) return 0;
    return Math.min(...this.parts.map((part) => part.lease.remaining), this.overtime?.remaining ?? Infinity);
  }

  /** Whether the release has begun: of this lease, or of the one around it whose lock this one entered again. */
  get isReleased(): boolean {
    return this.releasing !== undefined || this.parts.some(wasTakenBack);
  }

  /** Whether the lock was lost before it was released. */
  get isLost(): boolean {
    return this.overtime?.signal.aborted === true || this.parts.some(isLost);
  }

  /**
   * Makes sure that the lock lasts for at least this many milliseconds from now, `holdAtMost` included; never shortens it.
   *
   * @throws {LockNotOwnedError} the lease was released.
   * @throws {LockLostError} the lock was lost.
   * @throws {LockUnavailableError} the store did not answer.
   */
  async extend(duration: number): Promise<void> {
    this.assertHeld();
    await Promise.all(this.parts.map((part) => part.lease.extend(duration)));
    this.overtime?.extend(duration);
  }

  /**
   * Throws unless the lock is held: a cheap question to ask before each step that can't be undone.
   *
   * @throws {LockNotOwnedError} the lease was released, or the method runs without a lock (`whenUnavailable: 'run'`).
   * @throws {LockLostError} the lock was lost.
   */
  assertHeld(): void {
    if (this.parts.length === 0) {
      throw this.notOwned(
        "runs without its lock, because the store can't be reached and whenUnavailable is 'run'",
      );
    }
    const loss = this.loss();
    if (loss !== undefined) throw loss;
  }

  /**
   * Runs work inside of the lock: calls that it makes enter the same lock again, and its queries join the lock's
   * transaction where there is one.
   */
  run<T>(work: () => Promise<T>): Promise<T> {
    const refusal = this.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.endsTransaction ? this.runNoted(work) : this.runJoined(work);
  }

  /**
   * Gives the lock back. Harmless twice.
   *
   * @throws only where the lock is a transaction whose work succeeded and could not be committed.
   */
  release(): Promise<void> {
    this.releasing ??= this.giveBack();
    return this.releasing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /**
   * @internal Keeps the locks until the returned function is called, whatever ends the lease meanwhile: a commit is under
   * way, and who came before its end would read what was there before.
   */
  settle(): () => void {
    const around = this.parts.map(({ borrowedFrom }) => borrowedFrom?.settle());
    const before = this.settling;
    let end: () => void = () => undefined;
    const settling = new Promise<void>((resolve) => (end = resolve));
    // Several calls inside of it may commit at once.
    this.settling = before === undefined ? settling : before.then(() => settling);
    return () => {
      end();
      around.forEach((settled) => settled?.());
    };
  }

  /** @internal What a call inside of this lease borrows of it. */
  lend(strategy: LockStrategy, name: string): LeasePart | undefined {
    if (this.releasing !== undefined) return undefined;
    const part = this.parts.find((each) => each.strategy === strategy && each.lease.name === name);
    if (part === undefined || wasTakenBack(part)) return undefined;
    return { ...part, borrowedFrom: part.borrowedFrom ?? this };
  }

  /** @internal */
  get parts(): readonly LeasePart[] {
    return this.terms.parts;
  }

  private runJoined<T>(work: () => Promise<T>): Promise<T> {
    const joined = this.parts.some((part) => part.lease.transaction !== undefined)
      ? () => joinTransactions(this.parts, work)
      : work;
    return insideLease({ lease: this, scope: this.scope }, joined);
  }

  /** Notes how the work ended, for the lock's transaction ends accordingly. */
  private runNoted<T>(work: () => Promise<T>): Promise<T> {
    this.running += 1;
    return this.runJoined(work).then(
      (result) => {
        this.running -= 1;
        if (this.outcome === 'none') this.outcome = 'succeeded';
        return result;
      },
      (error: unknown) => {
        this.running -= 1;
        this.outcome = 'failed';
        throw error;
      },
    );
  }

  /** Why nothing can run inside of this lease. */
  private refusal(): Error | undefined {
    if (this.outcome === 'failed' && this.endsTransaction) {
      return this.notOwned('is to be rolled back, because work inside of it failed');
    }
    return this.parts.length === 0 ? undefined : this.loss();
  }

  private loss(): Error | undefined {
    if (this.isLost) return this.signal.reason as Error;
    return this.isReleased ? this.notOwned('was released') : undefined;
  }

  private giveBack(): Promise<void> {
    return this.settling === undefined ? this.giveBackNow() : this.settling.then(() => this.giveBackNow());
  }

  private giveBackNow(): Promise<void> {
    const [only] = this.parts;
    if (this.endsTransaction || this.parts.length !== 1 || only === undefined) return this.giveAllBack();
    this.overtime?.stop();
    const released = isOwn(only) ? only.lease.release() : Promise.resolve();
    return released.then(
      () => this.terms.onReleased([]),
      (error: unknown) => this.terms.onReleased([failureOf(only, error)]),
    );
  }

  private async giveAllBack(): Promise<void> {
    this.overtime?.stop();
    const failures: ReleaseFailure[] = [];
    try {
      const succeeded = this.outcome === 'succeeded' && this.running === 0;
      if (this.endsTransaction && succeeded) await this.commit();
    } finally {
      for (const part of this.parts.filter(isOwn).reverse()) {
        await part.lease.release().catch((error: unknown) => failures.push(failureOf(part, error)));
      }
      if (this.scope !== undefined) failures.push(...(await this.scope.end()));
      this.terms.onReleased(failures);
    }
  }

  private async commit(): Promise<void> {
    if (this.isLost) throw this.signal.reason;
    if (this.scope?.loss !== undefined) throw this.scope.loss;
    for (const { lease } of this.parts.filter(isOwn).reverse()) await lease.transaction?.commit();
  }

  private limit(holdAtMost: number): Overtime {
    const reason = new LockLostError(`it was held for holdAtMost, which is ${holdAtMost} ms`, {
      key: this.key,
      strategy: this.parts[0]?.strategyName,
    });
    return new Overtime(holdAtMost, reason, () => {
      this.outcome = 'failed';
      void this.release();
    });
  }

  private notOwned(why: string): LockNotOwnedError {
    return new LockNotOwnedError(`The lease of "${this.key}" ${why}. Take the lock again before you go on.`, {
      key: this.key,
    });
  }
}

/** Whether the lease that this part was borrowed from gave it back: the call was left behind, and outlived its lock. */
function wasTakenBack({ borrowedFrom }: LeasePart): boolean {
  return borrowedFrom?.isReleased === true;
}

function failureOf({ lease: { name }, strategyName }: LeasePart, error: unknown): ReleaseFailure {
  return { key: name, strategy: strategyName, error };
}

/** The end of a lease that may not be held for ever. */
class Overtime {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout;
  private endsAt: number;

  constructor(
    holdAtMost: number,
    private readonly reason: Error,
    private readonly afterwards: () => void,
  ) {
    this.endsAt = performance.now() + holdAtMost;
    this.timer = this.start(holdAtMost);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get remaining(): number {
    return Math.max(0, this.endsAt - performance.now());
  }

  extend(duration: number): void {
    if (duration <= this.remaining) return;
    clearTimeout(this.timer);
    this.endsAt = performance.now() + duration;
    this.timer = this.start(duration);
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private start(duration: number): NodeJS.Timeout {
    const end = (): void => {
      this.controller.abort(this.reason);
      this.afterwards();
    };
    return setTimeout(end, duration).unref();
  }
}

function combine(signals: readonly AbortSignal[]): AbortSignal {
  const [only, ...others] = signals;
  if (only === undefined) return new AbortController().signal;
  return others.length === 0 ? only : AbortSignal.any([...signals]);
}
