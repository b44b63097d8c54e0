import { LockBusyError, LockShutdownError, LockUnavailableError } from '../../locking/lock-error.js';
import type { LockRequest, StrategyLease } from '../../locking/lock-strategy.js';
import { Grant, leaseOf, marginOf, type GrantEnd, type GrantHost } from './grant.js';
import { describeInstance } from './instance-id.js';
import type { LeaseRenewal } from './lease-renewal.js';
import type { Link } from './link.js';
import type { LocalClock } from './local-clock.js';
import type { LockKeys } from './lock-keys.js';
import type { Router } from './router.js';
import { Place } from './place.js';
import { Releases, type ReleaseHost } from './releases.js';
import {
  grantOf,
  grantOfMessage,
  heldOf,
  holderOf,
  lengthOf,
  ReplyCode,
  ticketsOf,
  tokenOfMessage,
  wantsSweep,
  watchedOf,
  type GrantNote,
  type HeldNote,
} from './replies.js';
import { RedirectedError, SessionLostError, type QueueSending, type Session } from './session.js';
import { SweepTimer } from './sweep-timer.js';
import { LocalTurns, OwnTurn } from './turn.js';
import { Waiter } from './waiter.js';

/** What the queues of one instance share. */
export interface QueueOwner {
  readonly strategy: string;
  readonly instance: string;
  readonly clock: LocalClock;
  readonly renewal: LeaseRenewal;
  readonly bypass: number;
  readonly replicas: number;
  readonly router: Router;
  nextSeq(): number;
  /** Nothing is left of the queue: it can be forgotten. */
  idle(queue: LocalQueue): void;
  /** A holder ended, or a queue became idle: for who waits for that. */
  changed(): void;
}

/** So many places travel in one call of `acquire` or `cancel`: scripts have to be short. */
const PLACES_A_CALL = 200;

/** Milliseconds before something is sent again that Redis answered with an error. */
const RETRY_PAUSE = 250;

/** Milliseconds before a lock is looked for again whose slot is moving just now. */
const ROUTE_PAUSE = 50;

/** One lock, as one instance sees it: the calls that wait here, their places in Redis, and the grant, if it has one. */
export class LocalQueue implements GrantHost, ReleaseHost {
  /** Places that no grant was seen for: unsent, asked or queued; with those whose call gave up before Redis answered. */
  private readonly places = new Map<number, Place>();
  /** Places to be taken out of Redis' queue, until Redis says that they are. */
  private readonly cancelled = new Map<number, Place>();
  private readonly releases: Releases;
  private readonly sweepTimer: SweepTimer;
  private readonly turns = new LocalTurns(() => this.withdrawUnwanted());
  private grant: Grant | undefined;
  /** The newest token that was taken in: each grant is handled once, however many times it is told. */
  private newestToken = 0;
  private queueLength = 0;
  private moreToSweep = false;
  private retry: NodeJS.Timeout | undefined;
  private inFlight = 0;
  /** Changes whenever what was sent is given up: answers to it say nothing about what is still in flight. */
  private epoch = 0;
  /** The server said that it does not serve the lock; who does is being asked. */
  private rerouting = false;
  /** How many wait for the inbox to be heard. */
  private hearing = 0;
  private retryRoute: NodeJS.Timeout | undefined;
  /** The slot is on its way to the link's server, which takes commands for it only when they say that they know. */
  private asking = false;
  /** The server of the lock; undefined while a Cluster's topology is not known. */
  link: Link | undefined;

  constructor(
    readonly name: string,
    readonly keys: LockKeys,
    private readonly owner: QueueOwner,
  ) {
    this.link = owner.router.linkOf(keys);
    this.releases = new Releases(this);
    this.sweepTimer = new SweepTimer(owner.clock, () => this.sweep());
  }

  get strategy(): string {
    return this.owner.strategy;
  }

  get instance(): string {
    return this.owner.instance;
  }

  get clock(): LocalClock {
    return this.owner.clock;
  }

  get stateKey(): string {
    return this.keys.state;
  }

  get session(): Session | undefined {
    return this.link?.session;
  }

  get replicas(): number {
    return this.owner.replicas;
  }

  get isHeld(): boolean {
    return this.grant?.isHeld ?? false;
  }

  get isIdle(): boolean {
    return (
      this.grant === undefined &&
      this.inFlight === 0 &&
      this.places.size === 0 &&
      this.cancelled.size === 0 &&
      !this.turns.wanted &&
      this.releases.isEmpty
    );
  }

  acquire(request: LockRequest): Promise<StrategyLease> {
    const waiter = new Waiter(
      request,
      this.clock.now(),
      () => this.giveUp(waiter, this.timeoutError(waiter)),
      () => this.giveUp(waiter, request.signal?.reason),
    );
    if (!waiter.waits || this.owner.bypass === 0) {
      waiter.place = this.addPlace(new OwnTurn(waiter), waiter, 1);
      this.ask([waiter.place]);
    } else {
      this.turns.add(waiter);
      this.queueUp();
    }
    return waiter.promise;
  }

  /** Says everything again that is still wanted, in the order that keeps the lock's: see docs/redis-lock.md. */
  resume(): void {
    this.releases.resume();
    this.cancel([...this.cancelled.values()]);
    this.grant?.renew();
    this.ask([...this.places.values()]);
    if (this.moreToSweep) this.sweepSoon();
    this.forgetIfIdle();
  }

  /** The server that serves the lock may have changed. */
  reroute(): void {
    const link = this.owner.router.linkOf(this.keys);
    if (link === this.link && !this.rerouting) return;
    this.goTo(link, false);
  }

  /** The server has dropped the inbox, and perhaps promoted past it: back to the old places. */
  queueAgain(): void {
    this.ask([...this.places.values()].filter((place) => place.state !== 'asked'));
  }

  /** Sends a script for this lock; false without a connection. What the session loses is said again by `resume`. */
  send(sending: QueueSending): boolean {
    const { session, epoch, asking } = this;
    if (session === undefined || this.rerouting) return false;
    const { script, keys, args } = sending;
    session.run({
      script,
      keys,
      args,
      asking,
      wanted: () => sending.wanted?.() ?? true,
      replied: (reply, sentAt) => sending.replied(reply, sentAt, session, epoch === this.epoch),
      failed: (error) => {
        if (error instanceof SessionLostError || epoch !== this.epoch) return sending.lost?.(error);
        if (!(error instanceof RedirectedError)) return sending.failed(error);
        sending.lost?.(error);
        this.redirected(error);
      },
    });
    return true;
  }

  /** The session ended: nobody knows what became of what was sent. */
  detach(): void {
    this.epoch += 1;
    this.inFlight = 0;
    this.releases.detach();
    for (const place of [...this.places.values()]) {
      place.state = 'unsent';
      const waiter = place.turn.next();
      if (waiter !== undefined && !waiter.waits)
        this.giveUp(waiter, this.unavailable('the connection was lost'));
      else if (!place.turn.wanted) this.withdraw(place);
    }
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

  /** Ends all waiting. What is queued in Redis is taken out. */
  shutDown(): void {
    const error = new LockShutdownError(
      `The application is shutting down and gives up waiting for "${this.name}".`,
      { key: this.name, strategy: this.strategy },
    );
    const own = [...this.places.values()].map(({ turn }) => turn.next());
    for (const waiter of [...own, ...(this.grant?.waiters ?? []), ...this.turns.all()]) {
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
      await this.releases.add(grant.token, holdLeft);
    }
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
    const released = this.releases.add(grant.token, 0);
    this.queueUp();
    return released;
  }

  ended(grant: Grant, how: GrantEnd, others: readonly Place[]): void {
    this.drop(grant);
    // Redis may still have it, and then the places get this very grant again.
    if (how === 'late') this.newestToken = grant.token - 1;
    if (how === 'expired') void this.releases.add(grant.token, 0);
    for (const place of others) {
      place.state = 'unsent';
      this.places.set(place.seq, place);
    }
    this.ask(others);
    this.queueUp();
    this.forgetIfIdle();
  }

  /** A reply of `release` or `cancel` carried a grant. */
  takeReplied(reply: string, sentAt: number): void {
    const note = grantOf(reply);
    this.session?.clock.observe(note.now, sentAt, this.clock.now());
    const lease = note.ends - note.now;
    this.take(note, sentAt + lease - marginOf(lease), false);
  }

  wireOf(session: Session): string {
    return this.owner.router.wireOf(this.keys, session);
  }

  /** The script stopped at its limit, with more to do: it is told to go on, with a breath in between. */
  sweepSoon(): void {
    this.moreToSweep = true;
    this.sweepTimer.within(0);
  }

  /** Redis answered with an error: once more after a while, for it may be busy. */
  retrySoon(): void {
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.releases.resume();
      this.cancel([...this.cancelled.values()]);
    }, RETRY_PAUSE);
  }

  forgetIfIdle(): void {
    if (!this.isIdle) return;
    this.forget();
    this.owner.idle(this);
    this.owner.changed();
  }

  /** Stops its timers. */
  forget(): void {
    clearTimeout(this.retryRoute);
    const channel = this.owner.router.channelOf(this.keys);
    if (channel !== undefined) this.session?.quiet(channel);
    this.sweepTimer.stop();
    clearTimeout(this.retry);
  }

  /** The server does not serve the lock. Nothing was run, and everything is said again to the one that does. */
  private redirected(error: RedirectedError): void {
    const target = error.askAt === undefined ? undefined : this.owner.router.linkAt(error.askAt);
    if (target !== undefined) return this.goTo(target, true);
    this.detach();
    this.rerouting = true;
    if (error.isMoved || error.askAt !== undefined) this.owner.router.refresh();
    else
      this.retryRoute ??= setTimeout(
        () => this.goTo(this.owner.router.linkOf(this.keys), false),
        ROUTE_PAUSE,
      );
  }

  private goTo(link: Link | undefined, asking: boolean): void {
    clearTimeout(this.retryRoute);
    this.retryRoute = undefined;
    this.rerouting = false;
    this.detach();
    this.link = link;
    this.asking = asking;
    if (this.session !== undefined) this.resume();
  }

  private addPlace(turn: OwnTurn | LocalTurns, waiter: Waiter, block: number): Place {
    const lease = leaseOf(waiter.request);
    const place = new Place(this.owner.nextSeq(), lease, block, turn, waiter.waits);
    this.places.set(place.seq, place);
    return place;
  }

  /**
   * With `bypass` the calls of this instance share one place in the queue at a time: they need one when more of them
   * wait than the grant in hand still serves.
   */
  private queueUp(): void {
    const first = this.turns.next();
    if (first === undefined || this.places.size > 0) return;
    if (this.grant !== undefined && this.grant.capacity >= this.turns.size) return;
    this.ask([this.addPlace(this.turns, first, this.owner.bypass + 1)]);
  }

  private ask(places: readonly Place[]): void {
    const { session } = this;
    if (session === undefined || this.rerouting || places.length === 0) return;
    const [only] = places;
    const channel = this.owner.router.channelOf(this.keys);
    if (channel !== undefined && !session.hears(channel) && places.some((place) => place.waits)) {
      return this.hearFirst(places, channel, session);
    }
    if (places.length === 1 && only !== undefined) return this.askFor(places, only.waits);
    for (const place of places) if (!place.waits) this.askFor([place], false);
    const waiting = places.filter((place) => place.waits);
    for (let at = 0; at < waiting.length; at += PLACES_A_CALL) {
      this.askFor(waiting.slice(at, at + PLACES_A_CALL), true);
    }
  }

  /**
   * On a Cluster each lock has an inbox of its own, to be heard before its first call waits. Most locks are free, so the
   * first call tries once without it.
   */
  private hearFirst(places: readonly Place[], channel: string, session: Session): void {
    const [only] = places;
    if (places.length === 1 && only?.known === false && this.hearing === 0) return this.askFor(places, false);
    const { epoch } = this;
    this.hearing += 1;
    this.inFlight += 1;
    session.hear(channel, this.asking).then(
      () => {
        this.hearing -= 1;
        if (epoch !== this.epoch) return;
        this.inFlight -= 1;
        this.ask(places.filter((place) => this.places.get(place.seq) === place && place.state !== 'asked'));
        this.forgetIfIdle();
      },
      (error: Error) => {
        this.hearing -= 1;
        if (epoch !== this.epoch || error instanceof SessionLostError) return;
        if (error instanceof RedirectedError) return this.redirected(error);
        this.inFlight -= 1;
        this.onAskFailed(places, error);
        this.forgetIfIdle();
      },
    );
  }

  private askFor(places: readonly Place[], waits: boolean): void {
    const { session } = this;
    if (session === undefined) return;
    for (const place of places) {
      place.state = 'asked';
      place.known = true;
    }
    const args = [
      this.instance + (waits ? 'W' : 'T') + places.map((place) => place.asked).join(','),
      this.wireOf(session),
    ];
    const distrust = this.link?.distrusts(longestLease(places));
    if (distrust !== undefined) args.push(distrust);
    this.inFlight += 1;
    this.send({
      script: 'acquire',
      keys: [this.keys.state, this.keys.queue],
      args,
      replied: (reply, sentAt, _session, current) => {
        if (current) this.inFlight -= 1;
        this.onAsked(places, waits, reply, sentAt, session);
        this.forgetIfIdle();
      },
      failed: (error) => {
        this.inFlight -= 1;
        this.onAskFailed(places, error);
        this.forgetIfIdle();
      },
    });
  }

  private onAsked(
    places: readonly Place[],
    waited: boolean,
    reply: string,
    sentAt: number,
    session: Session,
  ): void {
    const code = reply[0];
    const held = heldOf(reply);
    session.clock.observe(held.now, sentAt, this.clock.now());
    if (code === ReplyCode.BUSY) {
      this.queueLength = lengthOf(reply);
      for (const place of places) this.refuseBusy(place, holderOf(reply));
    } else if (!waited) {
      // Who only tries is in no queue: granted now, or the lock went to those of this instance that waited before.
      this.takeReplied(reply, sentAt);
      for (const place of places) if (this.places.has(place.seq)) this.refuseBusy(place, this.instance);
    } else {
      for (const place of places) if (place.state === 'asked') place.state = 'queued';
      for (const { seq, ticket } of ticketsOf(reply)) {
        const place = this.places.get(seq);
        if (place !== undefined) place.ticket = ticket;
      }
      if (code === ReplyCode.GRANTED) this.takeReplied(reply, sentAt);
      else this.queueLength = lengthOf(reply);
      this.cancel(places.filter((place) => this.places.has(place.seq) && !place.turn.wanted));
      if (this.places.size > 0) this.watch(held, places);
    }
    if (wantsSweep(reply)) this.sweepSoon();
  }

  private onAskFailed(places: readonly Place[], error: Error): void {
    for (const place of places) {
      if (!this.places.delete(place.seq)) continue;
      const waiter = place.turn.next();
      if (waiter !== undefined)
        this.giveUp(waiter, this.unavailable(`Redis answered: ${error.message}`, error));
    }
    // With `bypass` the place was for others too.
    this.queueUp();
  }

  private refuseBusy(place: Place, holder: string): void {
    if (place.waits && place.turn.wanted) {
      place.state = 'unsent';
      return this.ask([place]);
    }
    this.places.delete(place.seq);
    const waiter = place.turn.next();
    if (waiter === undefined) return;
    const { name: key, strategy, queueLength } = this;
    const waited = this.clock.now() - waiter.startedAt;
    const known = /^[.!]/.test(holder) ? {} : { holder: describeInstance(holder) };
    this.giveUp(waiter, new LockBusyError({ key, strategy, waited, ...known, queueLength }));
  }

  /** A grant came, by a reply or by the inbox, perhaps for the second time. */
  private take(note: GrantNote, deadline: number, handedOver: boolean): void {
    if (note.token <= this.newestToken) {
      if (this.grant?.token === note.token) this.grant.refresh(deadline);
      return;
    }
    this.newestToken = note.token;
    this.grant?.refuse('Redis gave it to the next one');
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

  private watch({ now, ends }: HeldNote, places: readonly Place[]): void {
    // A next holder with a shorter lease may have died since, so the waiters' own lease is the longest pause.
    this.sweepTimer.within(Math.min(ends - now, longestLease(places)));
  }

  private sweep(): void {
    const { session } = this;
    // Without a session `resume` asks for every place, and the answers set the timer.
    if (session === undefined || this.rerouting) return;
    const first = [...this.places.values()].find((place) => place.state === 'queued' && place.waits);
    if (!this.moreToSweep && (first === undefined || this.grant !== undefined)) {
      // While this instance has the lock there is nothing to look after but the grant itself.
      if (first !== undefined)
        this.sweepTimer.within(Math.min(first.lease, this.grant?.remaining ?? Infinity));
      return;
    }
    this.moreToSweep = false;
    this.inFlight += 1;
    this.send({
      script: 'sweep',
      keys: [this.keys.state, this.keys.queue],
      args: [this.instance + (first?.cancelled ?? ''), this.wireOf(session)],
      replied: (reply, sentAt, _session, current) => {
        if (current) this.inFlight -= 1;
        this.onSwept(reply, sentAt, first, session);
        this.forgetIfIdle();
      },
      failed: () => {
        this.inFlight -= 1;
        if (first !== undefined) this.sweepTimer.within(RETRY_PAUSE);
        this.forgetIfIdle();
      },
    });
  }

  private onSwept(reply: string, sentAt: number, first: Place | undefined, session: Session): void {
    if (reply.startsWith(ReplyCode.GRANTED)) this.takeReplied(reply, sentAt);
    const queued = [...this.places.values()].filter((place) => place.state === 'queued');
    // Whoever else is queued here needs a next look, also when the one for whom this was is gone.
    if (queued.length > 0) this.watch(heldOf(reply), queued);
    if (reply.startsWith(ReplyCode.GRANTED)) return;
    const watched = watchedOf(reply);
    session.clock.observe(watched.now, sentAt, this.clock.now());
    if (wantsSweep(reply)) this.sweepSoon();
    if (first === undefined || this.places.get(first.seq) !== first) return;
    // Messages would not arrive: with a new session everything is subscribed and asked for again.
    if (!watched.subscribed) return this.hearAgain(session);
    // A promotion took the place out while the inbox could not be reached, or Redis lost its data.
    if (!watched.queued) this.ask(queued);
  }

  private hearAgain(session: Session): void {
    if (this.owner.router.channelOf(this.keys) === undefined) {
      return session.end(new Error('the inbox was not subscribed any more'));
    }
    session.forgetSubscriptions();
    this.queueAgain();
  }

  private cancel(places: readonly Place[]): void {
    for (const place of places) {
      this.places.delete(place.seq);
      this.cancelled.set(place.seq, place);
    }
    for (let at = 0; at < places.length; at += PLACES_A_CALL) {
      this.cancelFor(places.slice(at, at + PLACES_A_CALL));
    }
  }

  private cancelFor(places: readonly Place[]): void {
    this.send({
      script: 'cancel',
      keys: [this.keys.state, this.keys.queue],
      args: [this.instance + places.map((place) => place.cancelled).join(',')],
      replied: (reply, sentAt) => {
        for (const place of places) this.cancelled.delete(place.seq);
        // The grant overtook the cancel: nobody wants it any more, so taking it hands it on.
        if (reply.startsWith(ReplyCode.GRANTED)) this.takeReplied(reply, sentAt);
        this.forgetIfIdle();
      },
      failed: () => this.retrySoon(),
    });
  }

  private drop(grant: Grant): void {
    this.owner.renewal.remove(grant);
    if (this.grant === grant) this.grant = undefined;
    this.owner.changed();
  }

  /** Ends a call's wait. Its place leaves the queue, or is handed on when a grant has overtaken this. */
  giveUp(waiter: Waiter, error: unknown): void {
    waiter.reject(error);
    this.turns.delete(waiter);
    if (waiter.place !== undefined) this.withdraw(waiter.place);
    else this.withdrawUnwanted();
    this.grant?.reconsider();
    this.forgetIfIdle();
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
    if (this.session === undefined) {
      const reason = this.lastError?.message ?? 'it is still being connected to';
      return this.unavailable(`Redis can't be reached (${reason})`, this.lastError);
    }
    const waited = this.clock.now() - waiter.startedAt;
    const answered =
      waiter.place === undefined
        ? this.grant !== undefined || [...this.places.values()].some(({ state }) => state === 'queued')
        : waiter.place.state === 'queued';
    if (!answered) return this.unavailable(`Redis did not answer within ${Math.round(waited)} ms`);
    const { name: key, strategy, queueLength } = this;
    return new LockBusyError({ key, strategy, waited, queueLength });
  }

  private get lastError(): Error | undefined {
    return this.link?.lastError ?? this.owner.router.lastError;
  }

  private unavailable(reason: string, cause?: Error): LockUnavailableError {
    return new LockUnavailableError(`${reason}. Check the address, and whether Redis runs.`, {
      key: this.name,
      strategy: this.strategy,
      cause,
    });
  }
}

function longestLease(places: readonly Place[]): number {
  return places.reduce((longest, { lease }) => Math.max(longest, lease), 0);
}
