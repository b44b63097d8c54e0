import type { LocalClock } from './local-clock.js';
import type { LockKeys } from './lock-keys.js';
import type { LockRoute } from './lock-route.js';
import { longestLease, type Place } from './place.js';
import { heldOf, ReplyCode, wantsSweep, watchedOf, type HeldNote } from './replies.js';
import type { Session } from './session.js';
import { SweepTimer } from './sweep-timer.js';

export interface SweepHost {
  readonly keys: LockKeys;
  readonly instance: string;
  readonly clock: LocalClock;
  readonly route: LockRoute;
  readonly places: ReadonlyMap<number, Place>;
  /** How long this instance itself has the lock; undefined when it has not. */
  readonly grantRemaining: number | undefined;
  /** The lock went to places of this instance. */
  takeReplied(reply: string, sentAt: number, receivedAt: number): void;
  ask(places: readonly Place[]): void;
  /** The server has dropped the inbox. */
  queueAgain(): void;
  forgetIfIdle(): void;
}

/** When and where a sweep was sent and answered. */
interface Exchange {
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly session: Session;
}

/** Milliseconds before the next look when Redis answered with an error. */
const RETRY_PAUSE = 250;

/** Looks after a lock for as long as somebody of this instance is queued: a holder that died hands nothing on. */
export class Sweeping {
  /** A script stopped at its limit, with more to do. */
  private more = false;
  private readonly timer: SweepTimer;

  constructor(private readonly host: SweepHost) {
    this.timer = new SweepTimer(host.clock, () => this.sweep());
  }

  /** Whether Redis waits to be told to go on. */
  get hasMore(): boolean {
    return this.more;
  }

  /** Looks again when the lease that Redis told of must be over. */
  watch({ now, ends }: HeldNote, places: readonly Place[]): void {
    // A next holder with a shorter lease may have died since, so the waiters' own lease is the longest pause.
    this.timer.within(Math.min(ends - now, longestLease(places)));
  }

  /** The script stopped at its limit, with more to do: it is told to go on, with a breath in between. */
  soon(): void {
    this.more = true;
    this.timer.within(0);
  }

  resume(): void {
    if (this.more) this.soon();
  }

  stop(): void {
    this.timer.stop();
  }

  private sweep(): void {
    const { route, keys, instance, places, grantRemaining } = this.host;
    const session = route.open;
    // Without a session `resume` asks for every place, and the answers set the timer.
    if (session === undefined) return;
    const first = [...places.values()].find((place) => place.state === 'queued' && place.waits);
    if (!this.more && (first === undefined || grantRemaining !== undefined)) {
      // While this instance has the lock there is nothing to look after but the grant itself.
      if (first !== undefined) this.timer.within(Math.min(first.lease, grantRemaining ?? Infinity));
      return;
    }
    this.more = false;
    route.inFlight += 1;
    route.send({
      script: 'sweep',
      keys: keys.both,
      args: [instance + (first?.cancelled ?? ''), route.wireOf(session)],
      replied: (reply, sentAt, receivedAt) => {
        route.inFlight -= 1;
        this.onSwept(reply, { sentAt, receivedAt, session }, first);
        this.host.forgetIfIdle();
      },
      failed: () => {
        route.inFlight -= 1;
        if (first !== undefined) this.timer.within(RETRY_PAUSE);
        this.host.forgetIfIdle();
      },
    });
  }

  private onSwept(reply: string, { sentAt, receivedAt, session }: Exchange, first: Place | undefined): void {
    const { host } = this;
    const granted = reply.startsWith(ReplyCode.GRANTED);
    if (granted) host.takeReplied(reply, sentAt, receivedAt);
    const queued = [...host.places.values()].filter((place) => place.state === 'queued');
    // Whoever else is queued here needs a next look, also when the one for whom this was is gone.
    if (queued.length > 0) this.watch(heldOf(reply), queued);
    if (granted) return;
    const watched = watchedOf(reply);
    session.clock.observe(watched.now, sentAt, receivedAt);
    if (wantsSweep(reply)) this.soon();
    if (first === undefined || host.places.get(first.seq) !== first) return;
    // Messages would not arrive: with a new session everything is subscribed and asked for again.
    if (!watched.subscribed) return this.hearAgain(session);
    // A promotion took the place out while the inbox could not be reached, or Redis lost its data.
    if (!watched.queued) host.ask(queued);
  }

  private hearAgain(session: Session): void {
    if (this.host.route.channel === undefined) {
      return session.end(new Error('the inbox was not subscribed any more'));
    }
    session.forgetSubscriptions();
    this.host.queueAgain();
  }
}
