/** What a strategy promises. Contract suite, start-up checks and documentation read it: claim no more than is so. */
export interface LockTraits {
  /** Whom the lock keeps out: the callers of this process, or those of every process that shares the store. */
  readonly scope: 'process' | 'shared';
  /** Who comes first is served first: everywhere, among the callers of one process, or not at all. */
  readonly order: 'strict' | 'process' | 'none';
  /** Whether every grant carries a token that is higher than those of all earlier holders. */
  readonly fencing: boolean;
}

/** One wish to hold one lock. All durations are milliseconds. */
export interface LockRequest {
  /** What the store sees, for example `stock:42`: at most 1 024 bytes of UTF-8, any characters but control characters. */
  readonly name: string;
  /** How long to wait; 0 tries once, `Infinity` waits for ever. */
  readonly waitTime: number;
  /** How long a silent holder (dead, frozen, cut off) keeps the others out. The strategy renews it while the lease is held. */
  readonly ttl: number;
  /**
   * Nobody else gets the lock before this long after it was taken, whatever happens to its holder meanwhile,
   * a release included. 0 for no such limit.
   */
  readonly holdAtLeast: number;
  /** Ends the waiting, never a lock that is held: `acquire` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * The transaction in which a lock lives, for strategies whose lock *is* a transaction.
 * `release()` without a `commit()` before it rolls back.
 */
export interface LeaseTransaction {
  /** Runs work whose queries join the transaction. It neither commits nor rolls back. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Makes the work permanent. A rejection means that it is not, and becomes the rejection of the call. */
  commit(): Promise<void>;
}

/** One lock that is held: the strategy's side of a {@link Lease}. */
export interface StrategyLease {
  readonly name: string;
  /** The fencing token: rises with every holder of this lock. Undefined where the strategy has none. A safe integer. */
  readonly token: number | undefined;
  /** Aborts with a `LockLostError` before the store may let somebody else in. Never aborted by a release. */
  readonly signal: AbortSignal;
  /** Whether `signal` is aborted, for strategies that make the signal only when somebody asks for it. */
  readonly isLost?: boolean;
  /** Milliseconds until the lock is lost unless it is renewed; `Infinity` where it can't lapse, 0 once lost or released. */
  readonly remaining: number;
  /** Present where the lock lives in a transaction of its own. */
  readonly transaction?: LeaseTransaction;
  /**
   * Makes sure that the lock lasts for at least this many milliseconds from now; never shortens it.
   *
   * @throws {LockLostError} the store has given the lock up.
   * @throws {LockUnavailableError} the store did not answer; the lock is held until `signal` aborts.
   */
  extend(duration: number): Promise<void>;
  /** Gives the lock back. Harmless twice, and no error when the lock is somebody else's by now. */
  release(): Promise<void>;
}

/** Who holds a lock and who waits for it, for people: the answer is old when it arrives. */
export interface LockInspection {
  readonly name: string;
  readonly held: boolean;
  /** Who holds it, in the strategy's words. */
  readonly holder?: string;
  readonly since?: Date;
  /** Milliseconds since then, by the store's clock, where that was asked: the clock of whoever looks may differ. */
  readonly heldFor?: number;
  /** Milliseconds until the lock ends unless its holder renews it, where the store knows. */
  readonly remaining?: number;
  readonly token?: number;
  /** Those who wait, in their order where the strategy has one. */
  readonly waiters: readonly string[];
}

/**
 * A way to lock. Waiting belongs to the strategy, because it alone knows how to be woken; everything else (keys,
 * re-entry, outcomes, `holdAtMost`, several keys, transactions, events) is done once for all of them.
 *
 * @publicApi
 */
export abstract class LockStrategy {
  abstract readonly traits: LockTraits;

  /** The first segments of the keys that this strategy locks, unless a method names another strategy. */
  readonly resources?: readonly string[];

  /**
   * Waits for the lock.
   *
   * @throws {LockBusyError} somebody else held it for the whole `waitTime`.
   * @throws {LockUnavailableError} the store can't be reached within `waitTime`.
   * @throws {LockShutdownError} `close` was called.
   */
  abstract acquire(request: LockRequest): Promise<StrategyLease>;

  /**
   * Called once, when the application starts. Throws a `LockConfigurationError` for what can never work; a store that
   * is only unreachable is no reason to throw, for it may come back: calls fail with `LockUnavailableError` meanwhile.
   */
  connect?(): Promise<void>;

  /**
   * Refuses new calls, rejects those that wait with `LockShutdownError`, and resolves once the leases that are still
   * held were released, or after a limit of the strategy's own. Connections stay open: see `close`.
   */
  drain?(): Promise<void>;

  /** Releases what is left and ends connections, timers and sockets. Called last; nothing may be left in the process. */
  close?(): Promise<void>;

  /** Looks at a lock without touching it. */
  inspect?(name: string): Promise<LockInspection>;

  /** Takes a lock away from whoever holds it. Resolves to whether somebody held it. */
  forceRelease?(name: string): Promise<boolean>;
}

/** What a strategy may ask of the application that it is built for. */
export interface StrategyContext {
  /** The name under which the strategy was registered, for its errors and log lines. */
  readonly strategy: string;
  /** An instance of the application's, wherever it is provided; throws when there is none. */
  get<T>(token: unknown): T;
}

/**
 * Builds a strategy for one application: called once an application, when its providers exist.
 * `redisLock(…)`, `typeormLock(…)` and `memoryLock()` return one.
 *
 * @publicApi
 */
export type LockStrategyFactory = (nest: StrategyContext) => LockStrategy;
