import { Logger } from '@nestjs/common';
import {
  LockConfigurationError,
  LockShutdownError,
  type LockUnavailableError,
} from '../../locking/lock-error.js';
import {
  LockStrategy,
  type LockInspection,
  type LockRequest,
  type LockTraits,
  type StrategyContext,
  type StrategyLease,
} from '../../locking/lock-strategy.js';
import { Acquisition, type AcquisitionTerms, quorumUnavailable } from './acquisition.js';
import type { NodeFailure } from './ballot.js';
import { LocalCallers } from './local-callers.js';
import { nodeConnection } from './node-connection.js';
import { Quorum } from './quorum.js';
import type { QuorumLease } from './quorum-lease.js';
import type { ResolvedQuorumLockOptions } from './quorum-lock-options.js';
import { QuorumNode } from './quorum-node.js';
import { withinLimit } from './time-limit.js';

/** How long the start of an application waits for the nodes, in milliseconds: it may be that none of them is there. */
const LONGEST_START = 2_000;

/** A lock on a majority of independent Redis masters: Redlock, asked again and again until it is free. */
export class QuorumLockStrategy extends LockStrategy {
  override readonly traits: LockTraits = { scope: 'shared', order: 'none', fencing: false };
  override readonly resources: readonly string[];
  private readonly name: string;
  private readonly quorum: Quorum;
  private readonly terms: AcquisitionTerms;
  private readonly callers = new Map<string, LocalCallers>();
  private readonly leases = new Set<QuorumLease>();
  private shutDown: Promise<void> | undefined;
  private onLastRelease: (() => void) | undefined;

  constructor(
    private readonly options: ResolvedQuorumLockOptions,
    nest: StrategyContext,
  ) {
    super();
    this.name = nest.strategy;
    this.resources = options.resources;
    const logger = new Logger('DistributedLock');
    const nodes: QuorumNode[] = [];
    for (const node of options.nodes) nodes.push(new QuorumNode(nodeConnection(node, nest), nodes, logger));
    this.quorum = new Quorum({ ...options, nodes });
    this.terms = {
      quorum: this.quorum,
      strategy: this.name,
      retryDelay: options.retryDelay,
      retryJitter: options.retryJitter,
      onGranted: (lease) => this.leases.add(lease),
      onEnded: (lease) => this.ended(lease),
    };
  }

  override async connect(): Promise<void> {
    await withinLimit(this.quorum.start(), LONGEST_START, () => new Error()).catch(() => undefined);
    const twin = this.quorum.nodes.find(({ unfit }) => unfit !== undefined);
    if (twin === undefined) return;
    await this.close();
    throw new LockConfigurationError(
      `quorumLock: the node ${twin.address} ${twin.unfit}. Give each of the independent masters once.`,
      { strategy: this.name },
    );
  }

  override async acquire(request: LockRequest): Promise<StrategyLease> {
    const { name } = request;
    if (this.shutDown !== undefined) throw this.refusal(name);
    const callers = this.callersOf(name);
    const acquisition = new Acquisition(request, callers, this.terms);
    callers.pending.add(acquisition);
    try {
      return await acquisition.run();
    } finally {
      callers.pending.delete(acquisition);
      this.forgetIfIdle(name);
    }
  }

  override async inspect(name: string): Promise<LockInspection> {
    const survey = await this.quorum.look(name);
    if (!survey.hasMajority) throw this.unavailable(name, survey.failures);
    const { holder } = survey;
    // The nodes know of nobody who waits, so only those of this process are told.
    const local = this.callers.get(name)?.pending.size ?? 0;
    return {
      name,
      held: holder !== undefined,
      holder: holder === undefined ? undefined : `the value ${holder}`,
      waiters: Array.from({ length: local }, (_, place) => `waiter ${place + 1} of process ${process.pid}`),
    };
  }

  override async forceRelease(name: string): Promise<boolean> {
    const before = await this.quorum.takeAway(name);
    // It learns of it at its next renewal anyway; here it can at once.
    await this.callers.get(name)?.lease?.verify();
    if (!before.hasMajority) throw this.unavailable(name, before.failures);
    return before.holder !== undefined;
  }

  override drain(): Promise<void> {
    this.shutDown ??= this.waitForHolders();
    return this.shutDown;
  }

  override async close(): Promise<void> {
    await this.drain();
    for (const lease of [...this.leases]) {
      lease.lose('the application ended while it was held');
      await lease.release();
    }
    await this.quorum.close();
  }

  private async waitForHolders(): Promise<void> {
    for (const [name, { turns, pending }] of this.callers) {
      turns.rejectWaiters(this.refusal(name));
      for (const acquisition of pending) acquisition.interrupt(this.refusal(name));
    }
    if (this.leases.size === 0) return;
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, this.options.shutdownTimeout);
      this.onLastRelease = () => {
        clearTimeout(limit);
        resolve();
      };
    });
  }

  private ended(lease: QuorumLease): void {
    this.leases.delete(lease);
    this.forgetIfIdle(lease.name);
    if (this.leases.size === 0) this.onLastRelease?.();
  }

  private callersOf(name: string): LocalCallers {
    const existing = this.callers.get(name);
    if (existing !== undefined) return existing;
    const callers = new LocalCallers();
    this.callers.set(name, callers);
    return callers;
  }

  /** Keeps the map from growing with every key that was ever locked. */
  private forgetIfIdle(name: string): void {
    if (this.callers.get(name)?.isIdle) this.callers.delete(name);
  }

  private unavailable(key: string, failures: readonly NodeFailure[]): LockUnavailableError {
    return quorumUnavailable(this.quorum, failures, { key, strategy: this.name });
  }

  private refusal(name: string): LockShutdownError {
    return new LockShutdownError(`"${name}" can't be locked: the application is shutting down.`, {
      key: name,
      strategy: this.name,
    });
  }
}
