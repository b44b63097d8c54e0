import { Logger } from '@nestjs/common';
import { Lease } from './lease.js';
import { joinTransactions, type LeasePart } from './lease-part.js';
import type { ResolvedLockOptions } from './lock-call-options.js';
import { heldNames, heldPart, openScope, waitSignals } from './lock-context.js';
import { LockBusyError, LockConfigurationError, LockUnavailableError } from './lock-error.js';
import { eventOf, type LockEvent, type LockEvents } from './lock-events.js';
import type { LockCall } from './lock-executor.js';
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
  async take(call: LockCall, options: ResolvedLockOptions): Promise<Lease> {
    const names = sorted(call.keys);
    const signal = anyOf(call.signal === undefined ? waitSignals() : [call.signal, ...waitSignals()]);
    const askedAt = performance.now();
    const parts: LeasePart[] = [];
    try {
      for (const name of names) {
        const waitTime = Math.max(0, options.waitTime - (performance.now() - askedAt));
        const ttl = Math.max(SHORTEST_TTL, Math.min(options.ttl, options.holdAtMost ?? Infinity));
        const request: LockRequest = { name, waitTime, ttl, holdAtLeast: options.holdAtLeast, signal };
        parts.push(await joinTransactions(parts, () => this.takeOne(call, options, request)));
      }
    } catch (error) {
      for (const { lease } of parts.reverse().filter((part) => !part.borrowed)) {
        await lease.release().catch(() => undefined);
      }
      throw error;
    }
    return this.lease(call, options, names, parts);
  }

  private async takeOne(
    call: LockCall,
    options: ResolvedLockOptions,
    request: LockRequest,
  ): Promise<LeasePart> {
    const { name } = request;
    const strategyName = this.parts.provider.select(name, options.strategy);
    const strategy = this.parts.strategies.get(strategyName);
    const held = heldPart(strategy, name);
    if (held !== undefined) {
      if (held.lease.signal.aborted) throw held.lease.signal.reason as Error;
      return { ...held, borrowed: true };
    }
    const event = eventOf(call, name, strategyName);
    const lease = await this.wait(event, options, () => this.ask(strategy, event, request));
    return { strategyName, strategy, lease, borrowed: false };
  }

  /** Inside of a transaction of ours a lock is taken until that transaction ended. */
  private ask(strategy: LockStrategy, event: LockEvent, request: LockRequest): Promise<StrategyLease> {
    const { instrumentation, order } = this.parts;
    const scope = openScope();
    if (scope === undefined) this.warnForeignTransaction(event.label);
    if (order !== undefined) {
      for (const held of heldNames()) order.note(resourceOf(held), resourceOf(event.key), event.label);
    }
    const acquire = async (): Promise<StrategyLease> => {
      const stopWatching = this.slowWaits.watch(strategy, event, request.waitTime);
      try {
        return await (scope === undefined
          ? strategy.acquire(request)
          : scope.acquire(strategy, event.strategy, request));
      } finally {
        stopWatching();
      }
    };
    return instrumentation === undefined ? acquire() : instrumentation.wait(event, acquire);
  }

  private async wait(
    event: LockEvent,
    { whenUnavailable }: ResolvedLockOptions,
    acquire: () => Promise<StrategyLease>,
  ): Promise<StrategyLease> {
    const { events } = this.parts;
    const askedAt = performance.now();
    events.emit('waiting', event);
    try {
      const lease = await acquire();
      events.emit('acquired', { ...event, waited: performance.now() - askedAt, token: lease.token });
      return lease;
    } catch (error) {
      if (error instanceof LockBusyError) events.emit('busy', { ...event, waited: error.waited });
      if (error instanceof LockUnavailableError) {
        events.emit('unavailable', { ...event, error, running: whenUnavailable === 'run' });
      }
      throw error;
    }
  }

  private lease(
    call: LockCall,
    options: ResolvedLockOptions,
    keys: readonly string[],
    parts: readonly LeasePart[],
  ): Lease {
    const { events } = this.parts;
    const takenAt = performance.now();
    const eventsOf = (part: LeasePart): LockEvent => eventOf(call, part.lease.name, part.strategyName);
    const lease = new Lease({
      keys,
      parts,
      holdAtMost: options.holdAtMost,
      onReleased: (failures) => {
        for (const { part, error } of failures) events.emit('releaseFailed', { ...eventsOf(part), error });
        if (!events.hears('released')) return;
        const held = performance.now() - takenAt;
        for (const part of parts) if (!part.borrowed) events.emit('released', { ...eventsOf(part), held });
      },
    });
    if (events.hears('lost')) {
      const tell = (): void => {
        const error: unknown = lease.signal.reason;
        for (const part of parts) if (!part.borrowed) events.emit('lost', { ...eventsOf(part), error });
      };
      lease.signal.addEventListener('abort', tell, { once: true });
    }
    return lease;
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

function anyOf(signals: readonly AbortSignal[]): AbortSignal | undefined {
  return signals.length > 1 ? AbortSignal.any([...signals]) : signals[0];
}
