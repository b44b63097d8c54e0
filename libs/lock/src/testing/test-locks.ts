import { LeaseAround } from '../locking/lease-around.js';
import { LockBusyError, LockUnavailableError } from '../locking/lock-error.js';
import { DEFAULT_STRATEGY } from '../locking/lock-strategies.js';
import {
  LockStrategy,
  type LockInspection,
  type LockRequest,
  type StrategyLease,
} from '../locking/lock-strategy.js';
import { MemoryLockStrategy } from '../strategies/memory/memory-lock.strategy.js';

/** What happened to a lock in a test. */
export interface TestLockEntry {
  readonly what: 'acquired' | 'busy' | 'unavailable' | 'lost' | 'released';
  readonly key: string;
}

/**
 * The locks of an application under test: they lock within the process, and do at once what a test wants to see.
 * {@link LockTestingModule} provides it, {@link replaceLocks} returns it.
 *
 * @example
 * ```ts
 * locks.beBusy('stock:1');
 * await expect(stocks.decrease(1, 2)).rejects.toThrow(LockBusyError);
 * locks.beFree();
 * ```
 *
 * @publicApi
 */
export class TestLocks {
  private readonly recorded: TestLockEntry[] = [];
  private readonly troubles: Trouble[] = [];
  /** @internal */
  readonly strategy: LockStrategy = new TestLockStrategy((name) => this.troubleWith(name), this.recorded);

  /** What happened to the locks so far, in order: 'released' shows that a lock was given back, and when. */
  get log(): readonly TestLockEntry[] {
    return [...this.recorded];
  }

  /** From now on somebody else holds this lock, or every lock: calls get a `LockBusyError` at once, whatever their `waitTime`. */
  beBusy(key?: string): void {
    this.troubles.push({ what: 'busy', key });
  }

  /** From now on the store of this lock, or of every lock, can't be reached: calls get a `LockUnavailableError` at once. */
  beUnavailable(key?: string): void {
    this.troubles.push({ what: 'unavailable', key });
  }

  /** Ends what `beBusy` and `beUnavailable` began, for this lock or for all. */
  beFree(key?: string): void {
    const left = key === undefined ? [] : this.troubles.filter((trouble) => trouble.key !== key);
    this.troubles.splice(0, Infinity, ...left);
  }

  /**
   * Takes the lock away from whoever holds it: its signal aborts, and its call rejects with a `LockLostError` in the end,
   * or ignores it, as `whenLost` says.
   *
   * @throws {Error} nobody holds it.
   */
  async loseNow(key: string): Promise<void> {
    const lost = await this.strategy.forceRelease?.(key);
    if (lost !== true) {
      throw new Error(
        `Nobody holds "${key}", so nobody can lose it. Wait until the method is inside of its lock.`,
      );
    }
    this.recorded.push({ what: 'lost', key });
  }

  /** Whether somebody holds the lock. */
  async isHeld(key: string): Promise<boolean> {
    return (await this.strategy.inspect?.(key))?.held === true;
  }

  /** Forgets the log and ends every trouble, for the next test. */
  reset(): void {
    this.beFree();
    this.recorded.length = 0;
  }

  /** The latest that was said of this lock, or of all. */
  private troubleWith(name: string): Trouble['what'] | undefined {
    return this.troubles.findLast(({ key }) => key === undefined || key === name)?.what;
  }
}

interface Trouble {
  readonly what: 'busy' | 'unavailable';
  /** Every lock when absent. */
  readonly key: string | undefined;
}

/** The lock in memory, with the troubles that a test makes. */
class TestLockStrategy extends LockStrategy {
  private readonly memory = new MemoryLockStrategy(DEFAULT_STRATEGY, [], SHUTDOWN_TIMEOUT);
  override readonly traits = this.memory.traits;

  constructor(
    private readonly troubleWith: (name: string) => Trouble['what'] | undefined,
    private readonly log: TestLockEntry[],
  ) {
    super();
  }

  override async acquire(request: LockRequest): Promise<StrategyLease> {
    const { name, waitTime } = request;
    const trouble = this.troubleWith(name);
    if (trouble !== undefined) {
      this.log.push({ what: trouble, key: name });
      const context = { key: name, strategy: DEFAULT_STRATEGY };
      if (trouble === 'unavailable')
        throw new LockUnavailableError('the test asked for beUnavailable().', context);
      throw new LockBusyError({ ...context, waited: waitTime, holder: 'the test, by beBusy()' });
    }
    try {
      const lease = await this.memory.acquire(request);
      this.log.push({ what: 'acquired', key: name });
      return new LoggedLease(lease, this.log);
    } catch (error) {
      if (error instanceof LockBusyError) this.log.push({ what: 'busy', key: name });
      throw error;
    }
  }

  override inspect(name: string): Promise<LockInspection> {
    return this.memory.inspect(name);
  }

  override forceRelease(name: string): Promise<boolean> {
    return this.memory.forceRelease(name);
  }

  override drain(): Promise<void> {
    return this.memory.drain();
  }

  override close(): Promise<void> {
    return this.memory.close();
  }
}

/** Milliseconds: a test that forgets a lock should still end. */
const SHUTDOWN_TIMEOUT = 1_000;

class LoggedLease extends LeaseAround {
  private over = false;

  constructor(
    lease: StrategyLease,
    private readonly log: TestLockEntry[],
  ) {
    super(lease);
  }

  override release(): Promise<void> {
    // Who lost a lock has nothing to give back.
    if (!this.over && !this.isLost) this.log.push({ what: 'released', key: this.name });
    this.over = true;
    return this.lease.release();
  }
}
