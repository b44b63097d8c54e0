import { LockBusyError, LockShutdownError, LockUnavailableError } from '../../locking/lock-error.js';
import type { LockRequest, StrategyLease } from '../../locking/lock-strategy.js';
import { Asking, type AskHost } from './asking.js';
import { Cancels, type CancelHost } from './cancels.js';
import { Grant, leaseOf, marginOf, type GrantEnd, type GrantHost } from './grant.js';
import { describeInstance } from './instance-id.js';
import type { LeaseRenewal } from './lease-renewal.js';
import type { LocalClock } from './local-clock.js';
import type { LockKeys } from './lock-keys.js';
import { LocalTurns } from './local-turns.js';
import { LockRoute, type RouteHost } from './lock-route.js';
import { inOrder, Place, type Turn } from './place.js';
import { Releases, type ReleaseHost } from './releases.js';
import {
  grantOf,
  grantOfMessage,
  ReplyCode,
  tokenOfMessage,
  type GrantNote,
  type HeldNote,
} from './replies.js';
import type { Router } from './router.js';
import type { QueueSending, Session } from './session.js';
import { Sweeping, type SweepHost } from './sweeping.js';
import type { WaitLimits } from './wait-limits.js';
import { Waiter, type WaiterHost } from './waiter.js';

/** What the queues of one instance share. */
export interface QueueOwner {
  readonly strategy: string;
  readonly instance: string;
  readonly clock: LocalClock;
  readonly renewal: LeaseRenewal;
  readonly waitLimits: WaitLimits;
  readonly bypass: number;
  readonly replicas: number;
  readonly router: Router;
  nextSeq(): number;
  /** Nothing is left of the queue: it can be forgotten. */
  idle(queue: LocalQueue): void;
  /** A holder ended, or a queue became idle: for who waits for that. */
  changed(): void;
}

/** Milliseconds before something is sent again that Redis answered with an error. */
const RETRY_PAUSE = 250;

/** One lock, as one instance sees it: the calls that wait here, their places in Redis, and the grant, if it has one. */
export class LocalQueue
  implements WaiterHost, GrantHost, ReleaseHost, CancelHost, AskHost, SweepHost, RouteHost
{
  /**
   * Places that no grant was seen for: unsent, asked or queued; with those whose call gave up before Redis answered. In
   * the order in which the calls came.
   */
  readonly places = new Map<number, Place>();
  readonly route: LockRoute;
  readonly strategy: string;
  readonly instance: string;
  readonly clock: LocalClock;
  readonly replicas: number;
  private readonly asking: Asking;
  private readonly releases: Releases;
  // Made when somebody has to wait: most locks are free, and are taken and released without them.
  private cancels: Cancels | undefined;
  private sweeping: Sweeping | undefined;
  /** With `bypass` only. */
  private turns: LocalTurns | undefined;
  private grant: Grant | undefined;
  /** The newest token that was taken in: each grant is handled once, however many times it is told. */
  private newestToken = 0;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    readonly name: string,
    readonly keys: LockKeys,
    private readonly owner: QueueOwner,
  ) {
    this.strategy = owner.strategy;
    this.instance = owner.instance;
    this.clock = owner.clock;
    this.replicas = owner.replicas;
    this.route = new LockRoute(owner.router, this);
    this.asking = new Asking(this);
    this.releases = new Releases(this);
  }

  get session(): Session | undefined {
    return this.route.session;
  }

  get isHeld(): boolean {
    return this.grant?.isHeld ?? false;
  }

  get grantRemaining(): number | undefined {
    return this.grant?.remaining;
  }

  acquire(request: LockRequest): Promise<StrategyLease> {
    const waiter = new Waiter(request, this.clock.now(), this);
    this.owner.waitLimits.add(waiter);
    if (!waiter.waits || this.owner.bypass === 0) {
      waiter.place = this.addPlace(waiter, waiter, 1);
      this.ask([waiter.place]);
    } else {
      this.turns ??= new LocalTurns(() => this.withdrawUnwanted());
      this.turns.add(waiter);
      this.queueUp();
    }
    return waiter.promise;
  }

  timedOut(waiter: Waiter): void {
    this.giveUp(waiter, this.timeoutError(waiter));
  }

  aborted(waiter: Waiter): void {
    this.giveUp(waiter, waiter.request.signal?.reason);
  }

  /** The call's wait is over, in whatever way. */
  settled(waiter: Waiter): void {
    this.owner.waitLimits.remove(waiter);
  }

  /** Says everything again that is still wanted, in the order that keeps the lock's: see docs/redis-lock.md. */
  resume(): void {
    this.releases.resume();
    this.cancels?.resume();
    this.grant?.renew();
    this.ask([...this.places.values()]);
    this.sweeping?.resume();
    this.forgetIfIdle();
  }

  /** The session ended. Who only tries does not wait for the next one. */
  disconnected(): void {
    this.detach();
    // Nothing of this session is read any more, and what was released is so before anything is asked again: no grant but
    // the one in hand can be told twice. A server that lost its data, with a slower clock, begins with lower tokens.
    this.newestToken = this.grant?.token ?? 0;
    for (const place of [...this.places.values()]) {
      place.wasQueued = false;
      const waiter = place.turn.next();
      if (waiter !== undefined && !waiter.waits)
        this.giveUp(waiter, this.unavailable('the connection was lost'));
    }
  }

  /**
   * Nobody knows what became of what was sent: it is all said again, here or to another server. Should that be another
   * one, messages of the old one may still come, so that the newest token stays what it is.
   */
  detach(): void {
    this.route.detach();
    this.releases.detach();
    for (const place of [...this.places.values()]) {
      place.state = 'unsent';
      if (!place.turn.wanted) this.withdraw(place);
    }
  }

  /** The server has dropped the inbox, and perhaps promoted past it: back to the old places. */
  queueAgain(): void {
    this.ask([...this.places.values()].filter((place) => place.state !== 'asked'));
  }

  /** A message of the inbox that names this lock. */
  receive(body: string): void {
    const receivedAt = this.clock.now();
    if (body.startsWith(ReplyCode.LOST)) {
      if (this.grant?.token === tokenOfMessage(body)) this.grant.refuse('it was released by force');
      return;
    }
    const note = grantOfMessage(body);
    const lease = note.ends - note.now;
    const earliest = this.session?.clock.earliest(note.ends, receivedAt) ?? receivedAt;
    this.take(note, Math.min(receivedAt + lease, earliest) - marginOf(lease), true);
  }

  /** A reply carried a grant. */
  takeReplied(reply: string, sentAt: number, receivedAt: number): void {
    const note = grantOf(reply);
    this.session?.clock.observe(note.now, sentAt, receivedAt);
    const lease = note.ends - note.now;
    this.take(note, sentAt + lease - marginOf(lease), false);
  }

  /** Ends all waiting. What is queued in Redis is taken out. */
  shutDown(): void {
    const error = new LockShutdownError(
      `The application is shutting down and gives up waiting for "${this.name}".`,
      { key: this.name, strategy: this.strategy },
    );
    const own = [...this.places.values()].map(({ turn }) => turn.next());
    for (const waiter of [...own, ...(this.grant?.waiters ?? []), ...(this.turns?.all() ?? [])]) {
      if (waiter !== undefined) this.giveUp(waiter, error);
    }
  }

  /** Releases what is left; `holdAtLeast` stays in force. Resolves when Redis knows. */
  async close(): Promise<void> {
    const { grant } = this;
    if (grant !== undefined) {
      const holdLeft = grant.holdLeft;
      grant.abandon();
      this.drop(grant);
      await this.releases.add(grant.tokenText, holdLeft);
    }
  }

  // What its chapters need of the whole, and of each other.

  send(sending: QueueSending): boolean {
    return this.route.send(sending);
  }

  wireOf(session: Session): string {
    return this.route.wireOf(session);
  }

  ask(places: readonly Place[]): void {
    this.asking.ask(places);
  }

  cancel(places: readonly Place[]): void {
    if (places.length === 0) return;
    for (const { seq } of places) this.places.delete(seq);
    this.cancels ??= new Cancels(this);
    this.cancels.add(places);
  }

  watch(held: HeldNote, places: readonly Place[]): void {
    this.sweeping ??= new Sweeping(this);
    this.sweeping.watch(held, places);
  }

  sweepSoon(): void {
    this.sweeping ??= new Sweeping(this);
    this.sweeping.soon();
  }

  /** Redis answered with an error: once more after a while, for it may be busy. */
  retrySoon(): void {
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.releases.resume();
      this.cancels?.resume();
    }, RETRY_PAUSE);
  }

  busy(place: Place, holder: string): void {
    if (place.waits && place.turn.wanted) {
      place.state = 'unsent';
      return this.ask([place]);
    }
    this.places.delete(place.seq);
    const waiter = place.turn.next();
    if (waiter === undefined) return;
    const known = /^[.!]/.test(holder) ? {} : { holder: describeInstance(holder) };
    this.giveUp(waiter, this.busyError(waiter, known));
  }

  refused(places: readonly Place[], error: Error): void {
    for (const place of places) {
      if (!this.places.delete(place.seq)) continue;
      const waiter = place.turn.next();
      if (waiter !== undefined)
        this.giveUp(waiter, this.unavailable(`Redis answered: ${error.message}`, error));
    }
    // With `bypass` the place was for others too.
    this.queueUp();
  }

  forgetIfIdle(): void {
    if (!this.isIdle) return;
    this.forget();
    this.owner.idle(this);
    this.owner.changed();
  }

  /** Stops its timers. */
  forget(): void {
    this.route.leave();
    this.sweeping?.stop();
    clearTimeout(this.retry);
    this.retry = undefined;
    // After a loss of data, or on another server with a slower clock, tokens may begin lower than they were.
    this.newestToken = 0;
  }

  // What its grant tells and needs.

  get stateKey(): string {
    return this.keys.state;
  }

  rescheduled(grant: Grant): void {
    if (grant === this.grant) this.owner.renewal.wakeAt(Math.min(grant.renewAt, grant.deadline));
  }

  dataLost(): void {
    this.ask([...this.places.values()].filter((place) => place.state === 'queued'));
  }

  replicated(): Promise<number | undefined> {
    return this.session?.replicated(this.replicas).catch(() => undefined) ?? Promise.resolve(undefined);
  }

  finished(grant: Grant): Promise<void> {
    this.drop(grant);
    const released = this.releases.add(grant.tokenText, 0);
    this.queueUp();
    return released;
  }

  ended(grant: Grant, how: GrantEnd, others: readonly Place[]): void {
    this.drop(grant);
    // Redis may still have it, and then the places get this very grant again.
    if (how === 'late') this.newestToken = grant.token - 1;
    if (how === 'expired') void this.releases.add(grant.tokenText, 0);
    const later = [...this.places.values()];
    this.places.clear();
    for (const place of inOrder([...others, ...later])) this.places.set(place.seq, place);
    for (const place of others) {
      place.state = 'unsent';
      place.wasQueued = false;
    }
    this.ask(others);
    this.queueUp();
    this.forgetIfIdle();
  }

  /** Ends a call's wait. Its place leaves the queue, or is handed on when a grant has overtaken this. */
  giveUp(waiter: Waiter, error: unknown): void {
    waiter.reject(error);
    this.turns?.delete(waiter);
    if (waiter.place !== undefined) this.withdraw(waiter.place);
    else this.withdrawUnwanted();
    this.grant?.reconsider();
    this.forgetIfIdle();
  }

  get isIdle(): boolean {
    return (
      this.grant === undefined &&
      this.route.inFlight === 0 &&
      this.places.size === 0 &&
      (this.cancels?.isEmpty ?? true) &&
      !(this.sweeping?.hasMore ?? false) &&
      !(this.turns?.wanted ?? false) &&
      this.releases.isEmpty
    );
  }

  private addPlace(turn: Turn, waiter: Waiter, block: number): Place {
    const place = new Place(this.owner.nextSeq(), leaseOf(waiter.request), block, turn, waiter.waits);
    this.places.set(place.seq, place);
    return place;
  }

  /**
   * With `bypass` the calls of this instance share one place in the queue at a time: they need one when more of them
   * wait than the grant in hand still serves.
   */
  private queueUp(): void {
    const { turns } = this;
    const first = turns?.next();
    if (turns === undefined || first === undefined) return;
    // A place of a call that only tries is its own, and leaves the others out.
    for (const { turn } of this.places.values()) if (turn === turns) return;
    if (this.grant !== undefined && this.grant.capacity >= turns.size) return;
    this.ask([this.addPlace(turns, first, this.owner.bypass + 1)]);
  }

  /** A grant came, by a reply or by the inbox, perhaps for the second time. */
  private take(note: GrantNote, deadline: number, handedOver: boolean): void {
    // What is being given back is so for good, also when Redis did not hear of it yet.
    if (note.token <= this.newestToken || this.releases.has(note.tokenText)) {
      if (this.grant?.token === note.token) this.grant.refresh(deadline);
      return;
    }
    this.newestToken = note.token;
    this.grant?.refuse('Redis gave it to the next one');
    const overtaken = this.overtakenBy(note);
    if (overtaken.length > 0) return this.handBack(note, overtaken);
    const places: Place[] = [];
    for (const seq of note.seqs) {
      const place = this.places.get(seq);
      if (place !== undefined) places.push(place);
      this.places.delete(seq);
    }
    const grant = new Grant(note, places, deadline, this, handedOver);
    this.grant = grant;
    this.owner.renewal.add(grant);
    void grant.advance();
    this.queueUp();
  }

  /**
   * Calls of ours that came before those of a grant, and are not in it: the inbox was not heard when their turn came, so
   * they were taken out of the queue, and a later one was granted before they were back.
   */
  private overtakenBy({ seqs }: GrantNote): readonly Place[] {
    const first = seqs.map((seq) => this.places.get(seq)).find((place) => place !== undefined);
    const ticket = first?.ticket ?? 0;
    const overtaken: Place[] = [];
    for (const place of this.places.values()) {
      if (place.ticket === 0 || place.ticket >= ticket) break;
      if (place.turn.wanted) overtaken.push(place);
    }
    return overtaken;
  }

  /** The order of what is sent is all: first those that were overtaken are queued, then the lock goes to the first. */
  private handBack({ seqs, tokenText }: GrantNote, overtaken: readonly Place[]): void {
    const granted = seqs.flatMap((seq) => this.places.get(seq) ?? []);
    this.ask(overtaken.filter(({ state }) => state !== 'asked'));
    void this.releases.add(tokenText, 0);
    for (const place of granted) {
      place.state = 'unsent';
      if (!place.turn.wanted) this.places.delete(place.seq);
    }
    this.ask(granted.filter(({ seq }) => this.places.has(seq)));
  }

  private drop(grant: Grant): void {
    this.owner.renewal.remove(grant);
    if (this.grant === grant) this.grant = undefined;
    this.owner.changed();
  }

  /** With `bypass`: when nobody waits here any more, the shared place would only hold others up. */
  private withdrawUnwanted(): void {
    for (const place of [...this.places.values()]) if (!place.turn.wanted) this.withdraw(place);
  }

  private withdraw(place: Place): void {
    // Asked: the answer decides, and comes. A place in the grant is passed over.
    if (!this.places.has(place.seq) || place.state === 'asked') return;
    this.places.delete(place.seq);
    if (place.known) this.cancel([place]);
  }

  private timeoutError(waiter: Waiter): Error {
    const { lastError, refusal } = this.route;
    if (this.session === undefined) {
      const reason = lastError?.message ?? 'it is still being connected to';
      return this.unavailable(`Redis can't be reached (${reason})`, lastError);
    }
    const wasQueued =
      waiter.place === undefined
        ? this.grant !== undefined || [...this.places.values()].some((place) => place.wasQueued)
        : waiter.place.wasQueued;
    if (wasQueued) return this.busyError(waiter, {});
    if (refusal !== undefined) {
      return this.unavailable(`no node of the Cluster serves it now (${refusal.message})`, refusal);
    }
    const waited = Math.round(this.clock.now() - waiter.startedAt);
    return this.unavailable(`Redis did not answer within ${waited} ms`);
  }

  private busyError(waiter: Waiter, known: { readonly holder?: string }): LockBusyError {
    const { name: key, strategy, asking } = this;
    const waited = this.clock.now() - waiter.startedAt;
    return new LockBusyError({ key, strategy, waited, ...known, queueLength: asking.queueLength });
  }

  private unavailable(reason: string, cause?: Error): LockUnavailableError {
    return new LockUnavailableError(`${reason}. Check the address, and whether Redis runs.`, {
      key: this.name,
      strategy: this.strategy,
      cause,
    });
  }
}
