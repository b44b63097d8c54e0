import { LockLostError, LockUnavailableError } from '../../locking/lock-error.js';
import type { LockRequest } from '../../locking/lock-strategy.js';
import type { Renewable } from './lease-renewal.js';
import type { LocalClock } from './local-clock.js';
import type { Place } from './place.js';
import { heldOf, isWrittenAgain, ReplyCode, sixteenDigits, type GrantNote } from './replies.js';
import { RedisLease } from './redis-lease.js';
import { scriptKeys } from './script-keys.js';
import type { QueueSending } from './session.js';
import type { Waiter } from './waiter.js';

/** The queue that a grant belongs to. */
export interface GrantHost {
  readonly name: string;
  readonly strategy: string;
  readonly instance: string;
  readonly stateKey: string;
  /** False without a connection. */
  send(sending: QueueSending): boolean;
  readonly clock: LocalClock;
  /** The grant's times have changed. */
  rescheduled(grant: Grant): void;
  /** Redis had lost the grant, and so it may have lost the queue. */
  dataLost(): void;
  /** How many replicas have to have a grant before it is used; 0 for none. */
  readonly replicas: number;
  /**
   * Resolves to how many replicas have all that this instance wrote to the lock's server so far, or to undefined when the
   * connection is lost.
   */
  replicated(): Promise<number | undefined>;
  /** Ends a call's wait. */
  giveUp(waiter: Waiter, error: Error): void;
  /** Everybody had the lock: it is given back. Resolves when Redis knows, or when there is no use in waiting. */
  finished(grant: Grant): Promise<void>;
  /** The lease is over before everybody had the lock: the others queue again, at their old places. */
  ended(grant: Grant, how: GrantEnd, others: readonly Place[]): void;
}

/**
 * How a grant ends early.
 * - `late`: it was read too late and nobody was served meanwhile; Redis may still have it, and grants it again.
 * - `expired`: it could not be renewed in time; Redis may still have it, so it is given back.
 * - `refused`: Redis has given it up.
 */
export type GrantEnd = 'late' | 'expired' | 'refused';

/** Shortest pause between two attempts to renew. */
const RETRY = 50;

/**
 * Kept off the end of a lease, for timers that fire late, clocks that count whole milliseconds and a server whose clock
 * is adjusted.
 */
export function marginOf(lease: number): number {
  return 2 + lease / 100;
}

/** The lease to ask for, so that the lock is usable for this long. */
function leaseFor(duration: number): number {
  return Math.ceil((duration + 4) / 0.99);
}

/** The lease that a call needs, with room for a slow answer: `holdAtLeast` counts from when the caller has the lock. */
export function leaseOf({ ttl, holdAtLeast }: LockRequest): number {
  return Math.max(Math.ceil(ttl), holdAtLeast === 0 ? 0 : leaseFor(holdAtLeast) + 500);
}

interface Member {
  readonly place: Place;
  /** The first of the place's tokens. */
  readonly token: number;
}

/** The lock, held by this instance for a list of its places, one after another. */
export class Grant implements Renewable {
  readonly token: number;
  renewAt = Infinity;
  deadline: number;
  private readonly members: Member[];
  private current: RedisLease | undefined;
  private over = false;
  private needsExtension = false;
  private hold: NodeJS.Timeout | undefined;
  private confirmed: boolean;
  private confirming = false;

  constructor(
    private readonly note: GrantNote,
    places: readonly Place[],
    deadline: number,
    private readonly host: GrantHost,
    /** Whether this instance's own command took the lock, or somebody else's handed it over. */
    private handedOver: boolean,
  ) {
    this.confirmed = host.replicas === 0;
    this.token = note.token;
    this.deadline = deadline;
    this.members = membersOf(note, places);
    this.schedule(note.lease);
  }

  get remaining(): number {
    return this.deadline - this.host.clock.now();
  }

  /** Whether somebody works with the lock right now. */
  get isHeld(): boolean {
    return this.current !== undefined && this.hold === undefined;
  }

  /** How long the lock has to stay closed though nobody works any more: `holdAtLeast` of the last one. */
  get holdLeft(): number {
    const { current } = this;
    if (current === undefined || current.holdAtLeast === 0) return 0;
    return current.takenAt + current.holdAtLeast - this.host.clock.now();
  }

  /** The token as the scripts take it. */
  get tokenText(): string {
    return this.note.tokenText;
  }

  /** How many calls of a shared place it still serves: see `bypass`. */
  get capacity(): number {
    return this.members.reduce((sum, { place, token }) => sum + place.capacity(token), 0);
  }

  /** The calls that the grant covers and that were not served yet. */
  get waiters(): readonly Waiter[] {
    return this.members.map(({ place }) => place.turn.next()).filter((waiter) => waiter !== undefined);
  }

  /** Redis said that the lease lasts until then; an earlier answer may come later. */
  refresh(deadline: number): void {
    this.deadline = Math.max(this.deadline, deadline);
    this.schedule(this.current?.ttl ?? this.note.lease);
    const [member] = this.members;
    if (member === undefined) return;
    if (this.awaitsConfirmation) void this.advance();
    if (!this.needsExtension) return;
    this.needsExtension = false;
    // A lease that was just renewed is as long as it gets, however slow the answer was.
    void this.serve(member, 0);
  }

  /** Gives the lock to the next one whose turn it is. */
  advance(): Promise<void> {
    if (this.over) return Promise.resolve();
    this.current = undefined;
    this.hold = undefined;
    this.needsExtension = false;
    while (this.members.length > 0 && !isWanted(this.members[0])) this.members.shift();
    const [member] = this.members;
    // Less than half of its lease left: a slow start would lose it, so it is renewed first.
    if (member !== undefined) return this.serve(member, member.place.lease / 2);
    this.over = true;
    return this.host.finished(this);
  }

  /** Somebody gave up: perhaps nobody wants it any more. */
  reconsider(): void {
    if (this.needsExtension && !this.members.some(isWanted)) void this.advance();
  }

  /** The current holder is done. */
  release(lease: RedisLease): Promise<void> {
    if (this.over || this.current !== lease) return Promise.resolve();
    const left = this.holdLeft;
    if (left <= 0) return this.advance();
    // Nobody waits for the end of holdAtLeast, neither the caller nor a rejection.
    this.hold = setTimeout(() => void this.advance(), Math.ceil(left));
    return Promise.resolve();
  }

  /** Lasts at least so long from now, or rejects. */
  extend(duration: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const unavailable = (cause: unknown): void =>
        reject(
          new LockUnavailableError('Redis did not extend it. It is held until its signal aborts.', {
            key: this.host.name,
            strategy: this.host.strategy,
            cause,
          }),
        );
      const lease = leaseFor(duration);
      this.sendExtend(lease, (lost) => (lost === undefined ? resolve() : reject(lost)), unavailable);
    });
  }

  renew(): void {
    const ttl = this.current?.ttl ?? this.note.lease;
    this.renewAt = this.host.clock.now() + Math.max(ttl / 6, RETRY);
    this.sendExtend(ttl, ignore, ignore);
  }

  expire(): void {
    if (this.over) return;
    const how = this.current === undefined ? 'late' : 'expired';
    this.end(how, 'it could not be renewed before its lease ended');
  }

  /** Somebody else holds the lock, or it was taken away. */
  refuse(reason: string): LockLostError | undefined {
    return this.over ? undefined : this.end('refused', reason);
  }

  /** The application shuts down: the holder works on at its own risk. */
  abandon(): void {
    this.over = true;
    clearTimeout(this.hold);
    this.current?.lose('the application shut down and did not wait any longer');
  }

  private serve(member: Member, needed: number): Promise<void> {
    const waiter = member.place.turn.next();
    if (waiter === undefined) return this.advance();
    const { ttl, holdAtLeast } = waiter.request;
    const now = this.host.clock.now();
    const remaining = this.deadline - now;
    if (remaining <= 0) {
      this.end('late', '');
      return Promise.resolve();
    }
    if (remaining < Math.max(needed, holdAtLeast)) {
      this.needsExtension = true;
      this.renewAt = now + Math.max(ttl / 6, RETRY);
      // A shared place was asked for by another call, perhaps on other terms.
      this.sendExtend(Math.max(member.place.lease, leaseOf(waiter.request)), ignore, ignore);
      return Promise.resolve();
    }
    if (!this.confirmed) {
      if (!this.confirming) void this.confirm(waiter);
      return Promise.resolve();
    }
    member.place.turn.take();
    const token = member.token + member.place.serve(member.token);
    // Whom it served last is not kept for as long as the lock is held.
    if (member.place.capacity(member.token) === 0) this.members.shift();
    const { name, strategy } = this.host;
    const lease = new RedisLease(name, token, now, holdAtLeast, ttl, strategy, this);
    this.current = lease;
    this.schedule(ttl);
    waiter.grant(lease);
    return Promise.resolve();
  }

  /**
   * `WAIT` counts the replicas that have what *this* connection wrote, and is not allowed inside of scripts: a grant that
   * another instance wrote is written once more, by a longer lease, before it is waited for.
   */
  private async confirm(waiter: Waiter): Promise<void> {
    this.confirming = true;
    const replicas = !this.handedOver || (await this.writeOnce()) ? await this.host.replicated() : undefined;
    this.confirming = false;
    if (this.over) return;
    // The connection is lost, and with it what `WAIT` counts from: all again with the next one.
    if (replicas === undefined) {
      this.handedOver = true;
      return;
    }
    this.confirmed = replicas >= this.host.replicas;
    if (this.confirmed) return void this.advance();
    this.host.giveUp(
      waiter,
      new LockUnavailableError(
        `only ${replicas} of ${this.host.replicas} replicas have confirmed it in time. ` +
          'Check the replicas, or ask for fewer with the option replicas.',
        { key: this.host.name, strategy: this.host.strategy },
      ),
    );
    // Given back; the others queue again at their old places, and are tried on their own.
    this.end('expired', '');
  }

  /** Waits for the next answer of Redis to begin, after the connection was lost. */
  private get awaitsConfirmation(): boolean {
    return !this.confirmed && !this.confirming && !this.over;
  }

  /** A lease that is a millisecond longer is written for certain. */
  private writeOnce(): Promise<boolean> {
    return new Promise((resolve) => {
      this.sendExtend(
        this.note.lease + 1,
        (lost) => resolve(lost === undefined),
        () => resolve(false),
      );
    });
  }

  private sendExtend(
    lease: number,
    answered: (lost: LockLostError | undefined) => void,
    failed: (error: Error) => void,
  ): void {
    const { instance, stateKey } = this.host;
    const { seqs, block, token, tokenText } = this.note;
    const last = sixteenDigits(token + seqs.length * block - 1);
    const sent = this.host.send({
      script: 'extend',
      keys: scriptKeys([stateKey]),
      args: [tokenText + instance, String(lease), `${last}${this.note.lease}:${block};${seqs.join(',')}`],
      // Sent a second time it could come after the release.
      wanted: () => !this.over,
      // The server had the lock then, and the lease goes with it.
      countsAfterDetour: true,
      replied: (reply, sentAt, receivedAt, session) => {
        if (this.over) return answered(undefined);
        if (reply.startsWith(ReplyCode.REFUSED)) {
          return answered(
            this.end('refused', 'Redis has given it up: its lease had ended, or Redis lost it'),
          );
        }
        const { now, ends } = heldOf(reply);
        session.clock.observe(now, sentAt, receivedAt);
        this.refresh(sentAt + (ends - now) - marginOf(ends - now));
        if (isWrittenAgain(reply)) this.host.dataLost();
        answered(undefined);
      },
      failed,
      lost: failed,
    });
    if (!sent) failed(new Error('there is no connection to Redis'));
  }

  private end(how: GrantEnd, reason: string): LockLostError | undefined {
    this.over = true;
    clearTimeout(this.hold);
    const lost = this.current?.lose(reason);
    this.current = undefined;
    const others = this.members.filter(isWanted);
    for (const { place, token } of others) place.ticket ||= token;
    this.host.ended(
      this,
      how,
      others.map(({ place }) => place),
    );
    return lost;
  }

  private schedule(ttl: number): void {
    this.renewAt = this.deadline - (ttl * 2) / 3;
    this.host.rescheduled(this);
  }
}

function membersOf(note: GrantNote, places: readonly Place[]): Member[] {
  // Most locks are free, and are taken for one place.
  if (note.seqs.length === 1) return places.map((place) => ({ place, token: note.token }));
  const index = new Map(note.seqs.map((seq, at) => [seq, at]));
  return places.map((place) => ({
    place,
    token: note.token + (index.get(place.seq) ?? 0) * note.block,
  }));
}

function isWanted({ place, token }: Member): boolean {
  return place.turn.wanted && place.capacity(token) > 0;
}

const ignore = (): void => undefined;
