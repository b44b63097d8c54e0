import { Logger } from '@nestjs/common';
import { Lease } from './lease.js';
import { joinTransactions, type LeasePart } from './lease-part.js';
import {
  resolveLockOptions,
  type LockDefaults,
  type LockOptions,
  type ResolvedLockOptions,
} from './lock-call-options.js';
import { heldPart, insideScope, openScope, waitSignals } from './lock-context.js';
import { LockBusyError, LockConfigurationError, LockLostError, LockUnavailableError } from './lock-error.js';
import type { LockEvent, LockEvents } from './lock-events.js';
import { checkName } from './lock-name.js';
import type { LockStrategies } from './lock-strategies.js';
import type { LockStrategyProvider } from './lock-strategy.provider.js';
import type { LockRequest } from './lock-strategy.js';
import type { LockTransactions, TransactionFence } from './lock-transactions.js';
import { TransactionScope } from './transaction-scope.js';

/** One call that wants locks. */
export interface LockCall {
  /** The resolved keys, in any order. */
  readonly keys: readonly string[];
  /** Who asks, for messages: `StockService.decrease`. */
  readonly label: string;
  /** The key as it stands on the method: `stock:<id>`. */
  readonly template?: string;
  /** Checked before. The same object each time where possible: what it resolves to is remembered. */
  readonly options: LockOptions;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/** What a {@link LockExecutor} works with. */
export interface LockExecutorParts {
  readonly strategies: LockStrategies;
  readonly provider: LockStrategyProvider;
  readonly events: LockEvents;
  readonly defaults?: LockDefaults;
  readonly transactions?: LockTransactions;
}

/** Runs work inside of locks: one call, step by step. */
export class LockExecutor {
  private readonly logger = new Logger('DistributedLock');
  private readonly resolved = new WeakMap<LockOptions, ResolvedLockOptions>();
  private readonly warned = new Set<string>();

  constructor(private readonly parts: LockExecutorParts) {}

  /** Takes the locks, runs the work inside of them, and gives them back. */
  async run<T>(call: LockCall, work: (lease: Lease) => Promise<T>): Promise<T> {
    const options = this.resolve(call.options);
    let lease: Lease;
    try {
      lease = await this.take(call, options);
    } catch (error) {
      if (error instanceof LockBusyError) return this.answerBusy<T>(error, call, options);
      if (!(error instanceof LockUnavailableError) || options.whenUnavailable !== 'run') throw error;
      this.warnUnlocked(error, call);
      lease = new Lease({
        keys: [...call.keys],
        parts: [],
        holdAtMost: undefined,
        onReleased: () => undefined,
      });
    }
    return this.runInside(lease, call, options, work);
  }

  /** Takes the locks and leaves it to the caller to give them back. */
  acquire(call: LockCall): Promise<Lease> {
    return this.take(call, this.resolve(call.options));
  }

  private async runInside<T>(
    lease: Lease,
    call: LockCall,
    options: ResolvedLockOptions,
    work: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    const transactional = options.transaction !== false;
    let result: T;
    try {
      result = await lease.run(() =>
        transactional ? this.inTransaction(lease, call, options, () => work(lease)) : work(lease),
      );
    } catch (error) {
      // The error of the work wins over whatever the release has to say.
      await lease.release().catch(() => undefined);
      throw error;
    }
    const lost = lease.isLost ? (lease.signal.reason as unknown) : undefined;
    await lease.release();
    // What was committed under a lock that the database judged is done, whatever became of the lock since.
    if (lost === undefined || transactional || options.whenLost === 'ignore') return result;
    throw lostAfterwards(lost, result);
  }

  /** Begin, fence, run, commit: all of it before the locks are given back. */
  private async inTransaction<T>(
    lease: Lease,
    call: LockCall,
    { transaction }: ResolvedLockOptions,
    work: () => Promise<T>,
  ): Promise<T> {
    const { transactions } = this.parts;
    if (transactions === undefined) throw transactionsMissing(call.label);
    const request = {
      dataSource: typeof transaction === 'string' ? transaction : undefined,
      fences: this.fences(lease),
      signal: lease.signal,
    };
    const outer = openScope();
    if (outer !== undefined) return transactions.run(request, work);
    const scope = new TransactionScope();
    try {
      return await transactions.run(request, () =>
        insideScope(scope, async () => {
          const result = await work();
          if (scope.loss !== undefined) throw scope.loss;
          return result;
        }),
      );
    } finally {
      await scope.end();
    }
  }

  /** Tokens that mean something to every server; those of a lock that is a transaction already are the database's own. */
  private fences(lease: Lease): readonly TransactionFence[] {
    return lease.parts
      .filter(({ strategy, lease: { transaction } }) => {
        return strategy.traits.scope === 'shared' && strategy.traits.fencing && transaction === undefined;
      })
      .map(({ lease: { name, token } }) => ({ name, token }));
  }

  private async take(call: LockCall, options: ResolvedLockOptions): Promise<Lease> {
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
      for (const part of parts.reverse())
        if (!part.borrowed) await part.lease.release().catch(() => undefined);
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
    const event = this.event(call, name, strategyName);
    const askedAt = performance.now();
    this.parts.events.emit('waiting', event);
    const scope = openScope();
    if (scope === undefined) this.warnForeignTransaction(call);
    try {
      const lease = await (scope === undefined
        ? strategy.acquire(request)
        : scope.acquire(strategy, strategyName, request));
      const waited = performance.now() - askedAt;
      this.parts.events.emit('acquired', { ...event, waited, token: lease.token });
      return { strategyName, strategy, lease, borrowed: false };
    } catch (error) {
      const { whenUnavailable } = options;
      if (error instanceof LockBusyError) this.parts.events.emit('busy', { ...event, waited: error.waited });
      if (error instanceof LockUnavailableError) {
        this.parts.events.emit('unavailable', { ...event, error, running: whenUnavailable === 'run' });
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
    const eventsOf = (part: LeasePart): LockEvent => this.event(call, part.lease.name, part.strategyName);
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

  private async answerBusy<T>(
    error: LockBusyError,
    call: LockCall,
    { whenBusy }: ResolvedLockOptions,
  ): Promise<T> {
    if (whenBusy === 'throw') throw error;
    // The types of the decorator and of the service hold these answers against the method's own result.
    if (typeof whenBusy === 'function') return (await whenBusy(error)) as T;
    this.parts.events.emit('skipped', this.event(call, error.key ?? '', error.strategy ?? ''));
    return undefined as T;
  }

  private warnUnlocked(error: LockUnavailableError, { label }: LockCall): void {
    this.logger.warn(`${label} runs WITHOUT its lock, as whenUnavailable: 'run' asks for. ${error.message}`);
  }

  private warnForeignTransaction({ label }: LockCall): void {
    if (this.parts.transactions?.isActive() !== true || this.warned.has(label)) return;
    this.warned.add(label);
    this.logger.warn(
      `${label} takes its lock inside of an open transaction that it does not know the end of: the lock is free before ` +
        'the commit, and the next holder reads old data. Take the lock outside, or give the outer method a lock with ' +
        'transaction: true instead.',
    );
  }

  private event({ label, template }: LockCall, key: string, strategy: string): LockEvent {
    return { key, template, strategy, label };
  }

  private resolve(options: LockOptions): ResolvedLockOptions {
    let resolved = this.resolved.get(options);
    if (resolved === undefined) {
      resolved = resolveLockOptions(options, this.parts.defaults);
      this.resolved.set(options, resolved);
    }
    return resolved;
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

function lostAfterwards(lost: unknown, result: unknown): unknown {
  if (!(lost instanceof LockLostError)) return lost;
  return new LockLostError(lost.reason, { key: lost.key, strategy: lost.strategy, cause: lost, result });
}

function transactionsMissing(label: string): LockConfigurationError {
  return new LockConfigurationError(
    `${label} has transaction: true, but LockModule has no transactions. Add ` +
      "transactions: typeormTransactions() (from 'nestjs-distributed-lock/typeorm') to LockModule.forRoot.",
  );
}
