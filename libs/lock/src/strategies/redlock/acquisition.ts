import { LockBusyError, type LockError, LockUnavailableError } from '../../locking/lock-error.js';
import type { LockRequest } from '../../locking/lock-strategy.js';
import { describeFailures, type NodeFailure } from './ballot.js';
import { InterruptibleWait } from './interruptible-wait.js';
import type { LocalCallers } from './local-callers.js';
import { elapsedSince, type Moment, now } from './moment.js';
import type { Quorum } from './quorum.js';
import { QuorumLease } from './quorum-lease.js';

/** What all calls share. */
export interface AcquisitionTerms {
  readonly quorum: Quorum;
  /** The name of the strategy, for errors. */
  readonly strategy: string;
  readonly retryDelay: number;
  readonly retryJitter: number;
  readonly onGranted: (lease: QuorumLease) => void;
  readonly onEnded: (lease: QuorumLease) => void;
}

/** How often a vote that nobody won is repeated when there is no time left to wait, and the longest pause before, in ms. */
const RUN_OFFS = 5;
const LONGEST_RUN_OFF_PAUSE = 30;

/** One call that wants a lock. */
export class Acquisition {
  private readonly wait: InterruptibleWait;
  private readonly askedAt = performance.now();
  private hasTurn = false;

  constructor(
    private readonly request: LockRequest,
    private readonly callers: LocalCallers,
    private readonly terms: AcquisitionTerms,
  ) {
    this.wait = new InterruptibleWait(request.signal);
  }

  /** First among the callers of this process, then among all. */
  async run(): Promise<QuorumLease> {
    const { callers, wait } = this;
    let lease: QuorumLease | undefined;
    try {
      wait.check();
      this.hasTurn = await callers.turns.enter(this.request);
      // Without a turn it still asks once: who has it may be waiting for nodes that are away, and that is not busy.
      if (!this.hasTurn && callers.lease !== undefined) throw this.busy();
      if (callers.takesTooMuch()) await this.letOthersIn();
      lease = await this.compete();
      return lease;
    } finally {
      wait.end();
      if (lease === undefined) this.leave();
    }
  }

  /** Ends the waiting. */
  interrupt(reason: LockError): void {
    this.wait.interrupt(reason);
  }

  /** Tries until the wait time is over: at least once, and at its end once more. */
  private async compete(): Promise<QuorumLease> {
    const { retryDelay, retryJitter } = this.terms;
    let runOffs = RUN_OFFS;
    for (;;) {
      const attempt = await this.attempt();
      if (attempt instanceof QuorumLease) return attempt;
      this.callers.passedOn();
      if (this.timeLeft > 0) {
        await this.wait.sleep(Math.min(retryDelay + Math.random() * retryJitter, this.timeLeft));
        continue;
      }
      if (attempt.outcome === 'unanswered') throw this.unavailable(attempt);
      if (runOffs === 0 || !(await this.isUndecided(attempt))) throw this.busy();
      runOffs -= 1;
      await this.wait.sleep(Math.random() * LONGEST_RUN_OFF_PAUSE);
    }
  }

  private async attempt(): Promise<QuorumLease | FailedAttempt> {
    const { name, ttl, holdAtLeast } = this.request;
    const { quorum } = this.terms;
    // Also when its holder dies at once, nobody else gets the lock before `holdAtLeast`.
    const duration = Math.ceil(Math.max(ttl, holdAtLeast > 0 ? quorum.durationFor(holdAtLeast) : 0));
    const askedAt = now();
    const { ballot, result, settled } = quorum.acquire(name, duration, ttl);
    const value = await this.valueUnlessInterrupted(result);
    const { failures } = ballot;
    if (value === undefined) {
      return { outcome: ballot.outcome === 'refused' ? 'refused' : 'unanswered', failures, settled };
    }
    const elapsed = elapsedSince(askedAt);
    if (quorum.validityOf(duration) - elapsed < ttl / 2) {
      this.giveBack(value);
      const reason =
        `the answers of its nodes took ${Math.round(elapsed)} ms, which leaves too little of a lease of ${duration} ms. ` +
        'Use a longer ttl, or find out what stops this process or the nodes';
      return { outcome: 'unanswered', failures, settled, reason };
    }
    return this.grant({ value, askedAt, duration });
  }

  private grant({ value, askedAt, duration }: Taken): QuorumLease {
    const { name, ttl, holdAtLeast } = this.request;
    const { quorum, strategy, onGranted, onEnded } = this.terms;
    const holding = { key: quorum.keyOf(name), value };
    const lease = new QuorumLease(
      { name, strategy, holding, ttl, holdAtLeast, askedAt, duration },
      quorum,
      (ended) => {
        this.callers.ended(ended);
        this.leave();
        onEnded(ended);
      },
    );
    this.callers.granted(lease);
    onGranted(lease);
    return lease;
  }

  /** Who gave up must not get the lock after all. */
  private async valueUnlessInterrupted(result: Promise<string | undefined>): Promise<string | undefined> {
    try {
      const value = await this.wait.until(result);
      this.wait.check();
      return value;
    } catch (interruption) {
      void result.then((value) => value !== undefined && this.giveBack(value));
      throw interruption;
    }
  }

  private giveBack(value: string): void {
    const { name, ttl } = this.request;
    const { quorum } = this.terms;
    quorum.release({ key: quorum.keyOf(name), value }, ttl);
  }

  /**
   * Whether nobody can hold the lock, though this call did not get it: the vote was split between callers who came at the
   * same time. "Busy" would be wrong then, and two servers that run a job would both skip it.
   */
  private async isUndecided({ settled }: FailedAttempt): Promise<boolean> {
    // Only when what the attempt got is taken back: of two who look, the later one then never sees the earlier one's.
    await this.wait.until(settled);
    const survey = await this.wait.until(this.terms.quorum.look(this.request.name));
    return survey.hasMajority && survey.holder === undefined;
  }

  /** A pause in which every caller of another process tries at least once. */
  private async letOthersIn(): Promise<void> {
    const { retryDelay, retryJitter } = this.terms;
    await this.wait.sleep(Math.min(retryDelay + retryJitter, this.timeLeft));
    this.callers.passedOn();
  }

  private leave(): void {
    if (this.hasTurn) this.callers.turns.leave();
    this.hasTurn = false;
  }

  private get timeLeft(): number {
    return Math.max(0, this.askedAt + this.request.waitTime - performance.now());
  }

  private busy(): LockBusyError {
    return new LockBusyError({
      key: this.request.name,
      strategy: this.terms.strategy,
      waited: performance.now() - this.askedAt,
    });
  }

  private unavailable({ failures, reason }: FailedAttempt): LockUnavailableError {
    const { quorum, strategy } = this.terms;
    return quorumUnavailable(quorum, failures, { key: this.request.name, strategy, reason });
  }
}

/** The error for too few answers, or for `reason`. */
export function quorumUnavailable(
  { nodes, majority }: Quorum,
  failures: readonly NodeFailure[],
  { key, strategy, reason }: { readonly key: string; readonly strategy: string; readonly reason?: string },
): LockUnavailableError {
  const tooFew =
    `${majority} of its ${nodes.length} nodes have to answer, and these did not: ${describeFailures(failures)}. ` +
    'Calls work again as soon as enough of them are back';
  return new LockUnavailableError(`${reason ?? tooFew}.`, { key, strategy, cause: failures[0]?.error });
}

interface FailedAttempt {
  /** Too few votes although enough nodes answered, or too few answers. */
  readonly outcome: 'refused' | 'unanswered';
  readonly failures: readonly NodeFailure[];
  /** Resolves when what it got is taken back. */
  readonly settled: Promise<void>;
  /** Said instead of who gave no answer. */
  readonly reason?: string;
}

/** A key that a majority gave us. */
interface Taken {
  readonly value: string;
  readonly askedAt: Moment;
  readonly duration: number;
}
