import {
  LockConfigurationError,
  LockLostError,
  LockNotOwnedError,
  LockUnavailableError,
} from '../../locking/lock-error.js';
import type { StrategyLease } from '../../locking/lock-strategy.js';
import { type Ballot, describeFailures } from './ballot.js';
import { elapsedSince, type Moment, now } from './moment.js';
import type { Quorum } from './quorum.js';
import type { Holding, Round } from './redlock-package.js';

export interface LeaseTerms {
  readonly name: string;
  readonly strategy: string;
  readonly holding: Holding;
  /** Milliseconds; what it is renewed by. */
  readonly ttl: number;
  readonly holdAtLeast: number;
  /** When the command was sent that took it: leases begin then, whenever the answers came. */
  readonly askedAt: Moment;
  /** What it was taken for, in milliseconds. */
  readonly duration: number;
}

/** setTimeout takes no more; a tick that comes early finds nothing to do. */
const LONGEST_TIMER = 2 ** 31 - 1;
const SHORTEST_PAUSE = 10;

/**
 * One lock that is held on a majority of the nodes, and renewed there at a third of its `ttl`.
 *
 * It is lost when a majority refuses a renewal, or at its deadline, which is counted from when the last renewal that
 * succeeded was *sent*: whatever became of that command since, the nodes can't have begun to count earlier. So the signal
 * aborts before the first node of that majority can forget the key.
 */
export class QuorumLease implements StrategyLease {
  readonly name: string;
  /** Independent masters can't agree on a rising number without another protocol, so there is none. */
  readonly token = undefined;
  private readonly loss = new AbortController();
  private readonly earliestFree: number;
  private ended: 'released' | 'lost' | undefined;
  private writtenAt: Moment;
  private validity: number;
  private renewAt: number;
  private timer: NodeJS.Timeout | undefined;
  /** Extensions one after another, so that a short one never overtakes a long one. */
  private lastWrite: Promise<unknown> = Promise.resolve();
  private releasing: Promise<void> | undefined;

  constructor(
    private readonly terms: LeaseTerms,
    private readonly quorum: Quorum,
    private readonly onEnd: (lease: QuorumLease) => void,
  ) {
    const { name, askedAt, duration, ttl, holdAtLeast } = terms;
    this.name = name;
    this.earliestFree = performance.now() + holdAtLeast;
    this.writtenAt = askedAt;
    this.validity = quorum.validityOf(duration);
    this.renewAt = askedAt.monotonic + ttl / 3;
    this.schedule();
  }

  get signal(): AbortSignal {
    return this.loss.signal;
  }

  get remaining(): number {
    return this.ended === undefined ? Math.max(0, this.timeLeft) : 0;
  }

  async extend(duration: number): Promise<void> {
    const { name, strategy } = this.terms;
    if (!Number.isFinite(duration)) {
      throw new LockConfigurationError(
        `"${name}" can't be extended by ${duration}: give it a number of milliseconds.`,
        { key: name, strategy },
      );
    }
    const ballot = await this.write(this.quorum.durationFor(duration));
    if (this.ended === 'lost') throw this.loss.signal.reason;
    if (this.ended === 'released') {
      throw new LockNotOwnedError(
        `"${name}" can't be extended: this lease was released. Take the lock again.`,
        { key: name, strategy },
      );
    }
    if (ballot?.outcome === 'won') return;
    throw new LockUnavailableError(
      `it can't be extended, for too few of its nodes answered: ${describeFailures(ballot?.failures ?? [])}. ` +
        'It is held until its signal aborts.',
      { key: name, strategy, cause: ballot?.failures[0]?.error },
    );
  }

  release(): Promise<void> {
    this.releasing ??= this.ended === undefined ? this.giveBack() : Promise.resolve();
    return this.releasing;
  }

  /** Somebody else may hold the lock from now on. */
  lose(reason: string): void {
    if (this.ended !== undefined) return;
    const { name, strategy, holding, ttl } = this.terms;
    this.end('lost');
    this.loss.abort(new LockLostError(reason, { key: name, strategy }));
    // A minority may still have it, and would be in the way of the next. With `holdAtLeast` it is meant to be.
    if (performance.now() >= this.earliestFree) this.quorum.release(holding, ttl);
    this.onEnd(this);
  }

  /** Asks the nodes whether it is still held, without waiting for the next renewal. */
  async verify(): Promise<void> {
    await this.write(0);
  }

  private get timeLeft(): number {
    return this.validity - elapsedSince(this.writtenAt);
  }

  private async giveBack(): Promise<void> {
    const { holding, ttl } = this.terms;
    this.end('released');
    // What is under way must not arrive behind the release and bring the lock back.
    await this.lastWrite;
    const heldOver = this.earliestFree - performance.now();
    const round =
      heldOver > 0
        ? this.quorum.extend(holding, this.quorum.durationFor(heldOver), ttl)
        : this.quorum.release(holding, ttl);
    // It is not held any more either way, and what the nodes still have lapses: there is no error to tell anybody.
    await round.result;
    this.onEnd(this);
  }

  private end(how: 'released' | 'lost'): void {
    this.ended = how;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    clearTimeout(this.timer);
    const delay = Math.min(this.renewAt - performance.now(), this.timeLeft, LONGEST_TIMER);
    this.timer = setTimeout(() => this.tick(), Math.max(Math.floor(delay), 1));
  }

  private tick(): void {
    if (this.loseIfLapsed()) return;
    if (performance.now() >= this.renewAt) void this.renew();
    this.schedule();
  }

  /** A renewal that failed is tried again, after a pause, until the deadline. */
  private async renew(): Promise<void> {
    const { ttl } = this.terms;
    this.renewAt = Infinity;
    const ballot = await this.write(ttl);
    if (this.ended !== undefined) return;
    if (ballot?.outcome !== 'won') this.renewAt = performance.now() + Math.max(ttl / 10, SHORTEST_PAUSE);
    this.schedule();
  }

  /** Lets the lease last for at least `duration` from now, on a majority. Never shorter than it lasts anyway. */
  private write(duration: number): Promise<Ballot | undefined> {
    const written = this.lastWrite.then(() => this.writeNow(duration));
    this.lastWrite = written;
    return written;
  }

  private async writeNow(duration: number): Promise<Ballot | undefined> {
    if (this.ended !== undefined || this.loseIfLapsed()) return undefined;
    const { holding, ttl } = this.terms;
    const longest = Math.max(Math.ceil(duration), this.quorum.durationFor(this.timeLeft));
    const sentAt = now();
    const round = this.quorum.extend(holding, longest, ttl);
    const { ballot } = round;
    await round.result;
    if (ballot.outcome === 'won') {
      if (this.ended === undefined) this.written(sentAt, longest, round);
      return ballot;
    }
    // Some nodes may just be away, so it takes all the votes to know whether a majority refuses.
    await round.settled;
    if (ballot.against.length >= ballot.majority) {
      this.lose('a majority of the nodes has it no more: it lapsed there, or was taken away');
    }
    return ballot;
  }

  private written(sentAt: Moment, duration: number, round: Round<void>): void {
    this.writtenAt = sentAt;
    this.validity = this.quorum.validityOf(duration);
    this.renewAt = sentAt.monotonic + this.terms.ttl / 3;
    this.schedule();
    void this.repairAfter(round, duration);
  }

  /** Sent before any release that follows, and on the same connections, so it never brings a lock back. */
  private async repairAfter({ ballot, settled }: Round<void>, duration: number): Promise<void> {
    await settled;
    if (this.ended !== undefined || ballot.against.length === 0) return;
    await this.quorum.repair(this.terms.holding, ballot.against, duration, this.terms.ttl);
  }

  private loseIfLapsed(): boolean {
    if (this.ended !== undefined) return true;
    if (this.timeLeft > 0) return false;
    this.lose('its lease ended before it could be renewed on a majority of the nodes');
    return true;
  }
}
