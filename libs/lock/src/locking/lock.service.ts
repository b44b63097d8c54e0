import { Observable, defer, type Subscriber } from 'rxjs';
import { checkLeadOptions, lead, type LeadOptions } from './leadership.js';
import type { Lease } from './lease.js';
import { checkLockOptions, type LockOptions } from './lock-call-options.js';
import { LockBusyError, LockConfigurationError } from './lock-error.js';
import type { LockCall } from './lock-call.js';
import type { LockExecutor } from './lock-executor.js';
import { checkName } from './lock-name.js';
import type { LockStrategies } from './lock-strategies.js';
import type { LockInspection, LockStrategy } from './lock-strategy.js';
import type { LockStrategyProvider } from './lock-strategy.provider.js';

/** {@link LockOptions} for work that is run without the decorator. */
export interface LockRunOptions<Result = unknown> extends LockOptions<Result> {
  /** Ends the waiting, never work that runs: the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a lease of one's own can be asked for; see {@link LockOptions}. */
export type LockAcquireOptions = Pick<
  LockRunOptions,
  'strategy' | 'waitTime' | 'ttl' | 'holdAtMost' | 'holdAtLeast' | 'signal'
>;

/** What {@link LockService} works with. */
export interface LockServiceParts {
  readonly executor: LockExecutor;
  readonly strategies: LockStrategies;
  readonly provider: LockStrategyProvider;
}

/**
 * Locks without the decorator. A key is used as it is: put `escapeSegment(value)` around what users type.
 *
 * @publicApi
 */
export class LockService {
  constructor(private readonly parts: LockServiceParts) {}

  /**
   * Runs work inside of a lock, or of several.
   *
   * @throws {LockBusyError} the lock was not free within `waitTime`, unless `whenBusy` says otherwise.
   * @throws {LockUnavailableError} the store can't be reached, unless `whenUnavailable` says otherwise.
   * @throws {LockLostError} the lock was lost while the work ran, unless `whenLost` says otherwise.
   */
  async run<T>(
    key: string | readonly string[],
    work: (lease: Lease) => Promise<T> | T,
    options: LockRunOptions<T> & { readonly whenBusy: 'skip' },
  ): Promise<T | undefined>;
  async run<T>(
    key: string | readonly string[],
    work: (lease: Lease) => Promise<T> | T,
    options?: LockRunOptions<T>,
  ): Promise<T>;
  async run<T>(
    key: string | readonly string[],
    work: (lease: Lease) => Promise<T> | T,
    options: LockRunOptions<T> = {},
  ): Promise<T> {
    return this.parts.executor.run(callOf('run', key, options), async (lease) => work(lease));
  }

  /**
   * Takes a lock, or several, until the lease is released.
   *
   * @throws {LockBusyError} the lock was not free within `waitTime`.
   * @throws {LockUnavailableError} the store can't be reached.
   */
  async acquire(key: string | readonly string[], options: LockAcquireOptions = {}): Promise<Lease> {
    return this.parts.executor.acquire(callOf('acquire', key, options));
  }

  /**
   * Takes a lock if it is free within `waitTime`, which is 0 unless given.
   *
   * @returns null when somebody else holds it.
   * @throws {LockUnavailableError} the store can't be reached.
   */
  async tryAcquire(key: string | readonly string[], options: LockAcquireOptions = {}): Promise<Lease | null> {
    try {
      return await this.parts.executor.acquire(callOf('tryAcquire', key, { waitTime: 0, ...options }));
    } catch (error) {
      if (error instanceof LockBusyError) return null;
      throw error;
    }
  }

  /**
   * Stands for election: the work runs in one process at a time, and its signal aborts when the leadership is lost, at
   * the latest when another process may lead. Resolves when the work is done or `signal` aborts; work that fails is
   * followed by another campaign. Use a strategy of scope 'shared' whose lock is no transaction, such as `redisLock()`.
   *
   * @throws {LockConfigurationError} an option can't be right.
   */
  async lead(
    name: string,
    work: (signal: AbortSignal, lease: Lease) => Promise<void>,
    options: LeadOptions = {},
  ): Promise<void> {
    const { strategy, ttl } = options;
    checkName(name);
    checkLeadOptions(options);
    const terms = { strategy, ttl, waitTime: Infinity };
    await lead(
      name,
      work,
      (signal) => this.parts.executor.acquire(callOf('lead', name, { ...terms, signal })),
      options,
    );
  }

  /**
   * Subscribes to a stream inside of a lock that is held until the stream completes, fails or is unsubscribed from. The
   * stream fails when the lock is lost. Unsubscribing while it waits leaves the queue.
   */
  observe<T>(
    key: string | readonly string[],
    source: (lease: Lease) => Observable<T>,
    options: LockAcquireOptions = {},
  ): Observable<T> {
    return new Observable<T>((subscriber) => {
      const unsubscribed = new AbortController();
      const signal = options.signal
        ? AbortSignal.any([options.signal, unsubscribed.signal])
        : unsubscribed.signal;
      const drained = this.parts.executor.run(callOf('observe', key, { ...options, signal }), (lease) =>
        drain(
          defer(() => source(lease)),
          subscriber,
          [unsubscribed.signal, lease.signal],
        ),
      );
      drained.then(
        () => subscriber.complete(),
        (error: unknown) => subscriber.error(error),
      );
      return () =>
        unsubscribed.abort(
          new Error(`The stream inside of the lock on "${String(key)}" was unsubscribed from.`),
        );
    });
  }

  /**
   * Who holds a lock and who waits for it.
   *
   * @throws {LockConfigurationError} the strategy can't look.
   */
  async inspect(key: string, options: Pick<LockOptions, 'strategy'> = {}): Promise<LockInspection> {
    const strategy = this.strategyOf(key, options);
    if (strategy.inspect === undefined) throw unsupported('inspect', key);
    return strategy.inspect(key);
  }

  /**
   * Takes a lock away from whoever holds it, whose signal aborts as soon as it notices. For emergencies: the holder may
   * still be at work.
   *
   * @returns whether somebody held it.
   * @throws {LockConfigurationError} the strategy can't do so.
   */
  async forceRelease(key: string, options: Pick<LockOptions, 'strategy'> = {}): Promise<boolean> {
    const strategy = this.strategyOf(key, options);
    if (strategy.forceRelease === undefined) throw unsupported('forceRelease', key);
    return strategy.forceRelease(key);
  }

  private strategyOf(key: string, { strategy }: Pick<LockOptions, 'strategy'>): LockStrategy {
    checkName(key);
    return this.parts.strategies.get(this.parts.provider.select(key, strategy));
  }
}

function callOf(method: string, key: string | readonly string[], given: LockRunOptions): LockCall {
  const { signal, ...options } = given;
  const label = `LockService.${method}`;
  checkLockOptions(options, label);
  return { keys: Array.isArray(key) ? (key as readonly string[]) : [key as string], label, options, signal };
}

function unsupported(method: string, key: string): LockConfigurationError {
  return new LockConfigurationError(`The strategy that locks "${key}" has no ${method}.`, { key });
}

/** Passes a stream on; resolves when it completes, rejects when it fails or one of the signals aborts. */
function drain<T>(
  source: Observable<T>,
  subscriber: Subscriber<T>,
  endings: readonly [AbortSignal, AbortSignal],
): Promise<void> {
  const ending = AbortSignal.any([...endings]);
  return new Promise((resolve, reject) => {
    const subscription = source.subscribe({
      next: (value) => subscriber.next(value),
      error: reject,
      complete: resolve,
    });
    const end = (): void => {
      subscription.unsubscribe();
      reject(ending.reason as Error);
    };
    if (ending.aborted) end();
    else ending.addEventListener('abort', end, { once: true });
  });
}
