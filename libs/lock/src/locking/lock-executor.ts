import { Logger } from '@nestjs/common';
import { Lease } from './lease.js';
import { LockAcquirer, type LockAcquirerParts } from './lock-acquirer.js';
import type { LockCall } from './lock-call.js';
import {
  checkCombinations,
  resolveLockOptions,
  type LockDefaults,
  type LockOptions,
  type ResolvedLockOptions,
} from './lock-call-options.js';
import { insideScope, openScope } from './lock-context.js';
import { LockBusyError, LockConfigurationError, LockLostError, LockUnavailableError } from './lock-error.js';
import { eventOf } from './lock-events.js';
import type { TransactionFence } from './lock-transactions.js';
import { TransactionScope } from './transaction-scope.js';

/** What a {@link LockExecutor} works with. */
export interface LockExecutorParts extends LockAcquirerParts {
  readonly defaults?: LockDefaults;
}

/** Runs work inside of locks: one call, step by step. */
export class LockExecutor {
  private readonly logger = new Logger('DistributedLock');
  private readonly resolved = new WeakMap<LockOptions, ResolvedLockOptions>();
  private readonly acquirer: LockAcquirer;

  constructor(private readonly parts: LockExecutorParts) {
    this.acquirer = new LockAcquirer(parts);
  }

  /** Takes the locks, runs the work inside of them, and gives them back. */
  run<T>(call: LockCall, work: (lease: Lease) => Promise<T>): Promise<T> {
    return this.parts.instrumentation === undefined ? this.runInside(call, work) : this.runHeld(call, work);
  }

  /** Takes the locks and leaves it to the caller to give them back. */
  acquire(call: LockCall): Promise<Lease> {
    return this.acquirer.take(call, this.resolve(call));
  }

  /** One function for taking and running, for each promise costs: see `LockAcquirer.take`. */
  private async runInside<T>(call: LockCall, work: (lease: Lease) => Promise<T>, taken?: Lease): Promise<T> {
    const options = this.resolve(call);
    let lease: Lease;
    try {
      lease = taken ?? (await this.acquirer.take(call, options));
    } catch (error) {
      return this.runWithout(error, call, options, work);
    }
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

  private async runHeld<T>(call: LockCall, work: (lease: Lease) => Promise<T>): Promise<T> {
    const options = this.resolve(call);
    let lease: Lease;
    try {
      lease = await this.acquirer.take(call, options);
    } catch (error) {
      return this.runWithout(error, call, options, work);
    }
    return this.hold(lease, call, work);
  }

  private hold<T>(lease: Lease, call: LockCall, work: (lease: Lease) => Promise<T>): Promise<T> {
    const { instrumentation } = this.parts;
    const inside = (): Promise<T> => this.runInside(call, work, lease);
    if (instrumentation === undefined) return inside();
    return instrumentation.hold(eventOf(call, lease.key, lease.parts[0]?.strategyName), inside);
  }

  /** The locks could not be had. */
  private async runWithout<T>(
    error: unknown,
    call: LockCall,
    options: ResolvedLockOptions,
    work: (lease: Lease) => Promise<T>,
  ): Promise<T> {
    if (error instanceof LockBusyError) return this.answerBusy<T>(error, call, options);
    if (!(error instanceof LockUnavailableError) || options.whenUnavailable !== 'run') throw error;
    this.warnUnlocked(error, call);
    const lease = new Lease({
      keys: [...call.keys],
      parts: [],
      holdAtMost: undefined,
      onReleased: () => undefined,
    });
    return this.hold(lease, call, work);
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
    let settled: () => void = () => undefined;
    try {
      return await transactions.run(request, () =>
        insideScope(scope, async () => {
          const result = await work();
          if (scope.loss !== undefined) throw scope.loss;
          settled = lease.settle();
          return result;
        }),
      );
    } finally {
      settled();
      for (const { key, strategy, error } of await scope.end()) {
        this.parts.events.emit('releaseFailed', { ...eventOf(call, key, strategy), error });
      }
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

  private async answerBusy<T>(
    error: LockBusyError,
    call: LockCall,
    { whenBusy }: ResolvedLockOptions,
  ): Promise<T> {
    if (whenBusy === 'throw') throw error;
    // The types of the decorator and of the service hold these answers against the method's own result.
    if (typeof whenBusy === 'function') return (await whenBusy(error)) as T;
    this.parts.events.emit('skipped', eventOf(call, error.key, error.strategy));
    return undefined as T;
  }

  private warnUnlocked(error: LockUnavailableError, { label }: LockCall): void {
    this.logger.warn(`${label} runs WITHOUT its lock, as whenUnavailable: 'run' asks for. ${error.message}`);
  }

  private resolve({ label, options }: LockCall): ResolvedLockOptions {
    let resolved = this.resolved.get(options);
    if (resolved === undefined) {
      resolved = resolveLockOptions(options, this.parts.defaults);
      checkCombinations(resolved, label);
      this.resolved.set(options, resolved);
    }
    return resolved;
  }
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
