import { Logger } from '@nestjs/common';
import { Lease } from './lease.js';
import { isLost, isOwn, joinTransactions, type LeasePart } from './lease-part.js';
import type { ResolvedLockOptions } from './lock-call-options.js';
import { heldNames, heldPart, openScope, waitSignals } from './lock-context.js';
import { LockBusyError, LockConfigurationError, LockUnavailableError } from './lock-error.js';
import { eventOf, type LockEvent, type LockEvents } from './lock-events.js';
import type { LockCall } from './lock-call.js';
import type { LockInstrumentation } from './lock-instrumentation.js';
import { checkName, resourceOf } from './lock-name.js';
import type { LockOrderCheck } from './lock-order.js';
import type { LockStrategies } from './lock-strategies.js';
import type { LockStrategyProvider } from './lock-strategy.provider.js';
import type { LockRequest, LockStrategy, StrategyLease } from './lock-strategy.js';
import type { LockTransactions } from './lock-transactions.js';
import { SlowWaits } from './slow-waits.js';

/** What a {@link LockAcquirer} works with. */
export interface LockAcquirerParts {
  readonly strategies: LockStrategies;
  readonly provider: LockStrategyProvider;
  readonly events: LockEvents;
  readonly transactions?: LockTransactions;
  readonly instrumentation?: LockInstrumentation;
  /** Absent in production. */
  readonly order?: LockOrderCheck;
}

/** Takes the locks that one call wants: one after another, in one order for everybody, those that it holds already for free. */
export class LockAcquirer {
  private readonly logger = new Logger('DistributedLock');
  private readonly slowWaits = new SlowWaits();
  private readonly warned = new Set<string>();

  constructor(private readonly parts: LockAcquirerParts) {}

  /** Takes all of them, or none. */
  take(call: LockCall, options: ResolvedLockOptions): Promise<Lease> {
    const names = sorted(call.keys);
    const [only] = names;
    // Most calls have one key, and their path has no promise that it can do without: once AsyncLocalStorage is in use,
    // every promise costs Node 20 a quarter of a microsecond.
    if (only !== undefined && names.length === 1) {
      const request = this.request(call, options, only, options.waitTime);
      return this.takeOne(call, options, request, (part) => this.lease(call, options, names, [part]));
    }
    return this.takeSeveral(call, options, names).then((parts) => this.lease(call, options, names, parts));
  }

  private async takeSeveral(
    call: LockCall,
    options: ResolvedLockOptions,
    names: readonly string[],
  ): Promise<readonly LeasePart[]> {
    const askedAt = performance.now();
    const parts: LeasePart[] = [];
    try {
      for (const name of names) {
        const waitTime = Math.max(0, options.waitTime - (performance.now() - askedAt));
        const request = this.request(call, options, name, waitTime);
        const take = (): Promise<LeasePart> => this.takeOne(call, options, request, (part) => part);
        parts.push(await joinTransactions(parts, take));
      }
      return parts;
    } catch (error) {
      for (const { lease } of parts.reverse().filter(isOwn)) {
        await lease.release().catch(() => undefined);
      }
      throw error;
    }
  }

  /** Resolves to what `use` makes of the lock that was taken: see {@link take} for why it takes a function. */
  private takeOne<T>(
    call: LockCall,
    options: ResolvedLockOptions,
    request: LockRequest,
    use: (part: LeasePart) => T,
  ): Promise<T> {
    try {
      const strategyName = this.parts.provider.select(request.name, options.strategy);
      const strategy = this.parts.strategies.get(strategyName);
      const held = heldPart(strategy, request.name);
      if (held === undefined) {
        const event = eventOf(call, request.name, strategyName);
        return this.takeNew(strategy, event, options, request, use);
      }
      if (isLost(held)) throw held.lease.signal.reason;
      return Promise.resolve(use(held));
    } catch (error) {
      const refusal = error as Error;
      return Promise.reject(refusal);
    }
  }

  private takeNew<T>(
    strategy: LockStrategy,
    event: LockEvent,
    options: ResolvedLockOptions,
    request: LockRequest,
    use: (part: LeasePart) => T,
  ): Promise<T> {
    const { events } = this.parts;
    const askedAt = performance.now();
    events.emit('waiting', event);
    const wait = this.slowWaits.began(strategy, event, request.waitTime);
    return this.ask(strategy, event, request).then(
      (lease) => {
        if (wait !== undefined) this.slowWaits.ended(wait);
        if (events.hears('acquired')) {
          events.emit('acquired', { ...event, waited: performance.now() - askedAt, token: lease.token });
        }
        return use({ strategyName: event.strategy, strategy, lease, borrowedFrom: undefined });
      },
      (error: unknown) => {
        if (wait !== undefined) this.slowWaits.ended(wait);
        this.tellWhyNot(error, event, options);
        throw error;
      },
    );
  }

  /** Inside of a transaction of ours a lock is taken until that transaction ended. */
  private ask(strategy: LockStrategy, event: LockEvent, request: LockRequest): Promise<StrategyLease> {
    const { instrumentation, order } = this.parts;
    const scope = openScope();
    if (scope === undefined) this.warnForeignTransaction(event.label);
    if (order !== undefined) {
      for (const held of heldNames()) order.note(resourceOf(held), resourceOf(event.key), event.label);
    }
    const acquire = (): Promise<StrategyLease> =>
      scope === undefined ? strategy.acquire(request) : scope.acquire(strategy, event.strategy, request);
    try {
      return instrumentation === undefined ? acquire() : instrumentation.wait(event, acquire);
    } catch (error) {
      // A strategy of somebody else's may throw instead of rejecting.
      const refusal = error as Error;
      return Promise.reject(refusal);
    }
  }

  private tellWhyNot(error: unknown, event: LockEvent, { whenUnavailable }: ResolvedLockOptions): void {
    const { events } = this.parts;
    if (error instanceof LockBusyError) events.emit('busy', { ...event, waited: error.waited });
    if (error instanceof LockUnavailableError) {
      events.emit('unavailable', { ...event, error, running: whenUnavailable === 'run' });
    }
  }

  private request(call: LockCall, options: ResolvedLockOptions, name: string, waitTime: number): LockRequest {
    const { ttl, holdAtMost, holdAtLeast } = options;
    return {
      name,
      waitTime,
      ttl: holdAtMost === undefined ? ttl : Math.max(SHORTEST_TTL, Math.min(ttl, holdAtMost)),
      holdAtLeast,
      signal: waitSignal(call.signal),
    };
  }

  private lease(
    call: LockCall,
    options: ResolvedLockOptions,
    keys: readonly string[],
    parts: readonly LeasePart[],
  ): Lease {
    const { events } = this.parts;
    const takenAt = performance.now();
    const lease = new Lease({
      keys,
      parts,
      holdAtMost: options.holdAtMost,
      onReleased: (failures) => {
        for (const { key, strategy, error } of failures) {
          events.emit('releaseFailed', { ...eventOf(call, key, strategy), error });
        }
        if (!events.hears('released')) return;
        const held = performance.now() - takenAt;
        for (const part of parts.filter(isOwn)) events.emit('released', { ...told(part), held });
      },
    });
    if (events.hears('lost')) {
      const tell = (): void => {
        const error: unknown = lease.signal.reason;
        for (const part of parts.filter(isOwn)) events.emit('lost', { ...told(part), error });
      };
      lease.signal.addEventListener('abort', tell, { once: true });
    }
    return lease;

    function told({ lease: { name }, strategyName }: LeasePart): LockEvent {
      return eventOf(call, name, strategyName);
    }
  }

  private warnForeignTransaction(label: string): void {
    if (this.parts.transactions?.isActive() !== true || this.warned.has(label)) return;
    this.warned.add(label);
    this.logger.warn(
      `${label} takes its lock inside of an open transaction that it does not know the end of: the lock is free before ` +
        'the commit, and the next holder reads old data. Take the lock outside, or give the outer method a lock with ' +
        'transaction: true instead.',
    );
  }
}

/** A lease shorter than this would be renewed in a hot loop. */
const SHORTEST_TTL = 100;

/** One order for everybody, so that two calls that want the same locks can't wait for each other. */
function sorted(keys: readonly string[]): readonly string[] {
  keys.forEach(checkName);
  if (keys.length === 0) {
    throw new LockConfigurationError('There is no key to lock: name at least one.');
  }
  return keys.length === 1 ? keys : [...new Set(keys)].sort();
}

/** Whatever ends this wait: the caller's own signal, and those of the requests that it works for. */
function waitSignal(own: AbortSignal | undefined): AbortSignal | undefined {
  const around = waitSignals();
  if (around.length === 0) return own;
  const signals = own === undefined ? around : [own, ...around];
  return signals.length === 1 ? signals[0] : AbortSignal.any([...signals]);
}
