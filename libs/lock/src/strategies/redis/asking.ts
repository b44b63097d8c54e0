import type { LocalClock } from './local-clock.js';
import type { LockKeys } from './lock-keys.js';
import type { LockRoute } from './lock-route.js';
import { longestLease, PLACES_A_CALL, type Place } from './place.js';
import { heldOf, holderOf, lengthOf, ReplyCode, ticketsOf, wantsSweep, type HeldNote } from './replies.js';
import { RedirectedError, SessionLostError, type Session } from './session.js';

export interface AskHost {
  readonly keys: LockKeys;
  readonly instance: string;
  readonly clock: LocalClock;
  readonly route: LockRoute;
  readonly places: ReadonlyMap<number, Place>;
  /** The lock went to places of this instance. */
  takeReplied(reply: string, sentAt: number): void;
  /** Somebody else has the lock, and these are queued for it. */
  watch(held: HeldNote, places: readonly Place[]): void;
  sweepSoon(): void;
  /** Takes places out of Redis' queue. */
  cancel(places: readonly Place[]): void;
  /** Somebody else has the lock, and the place only tried. */
  busy(place: Place, holder: string): void;
  /** Redis answered with an error. */
  refused(places: readonly Place[], error: Error): void;
  forgetIfIdle(): void;
}

/** Asks Redis for the lock, or for places in its queue. */
export class Asking {
  /** How many were queued when Redis last said so. */
  queueLength = 0;
  /** How many wait for the inbox to be heard. */
  private hearing = 0;

  constructor(private readonly host: AskHost) {}

  ask(places: readonly Place[]): void {
    const { route } = this.host;
    const session = route.open;
    if (session === undefined || places.length === 0) return;
    const [only] = places;
    const { channel } = route;
    if (channel !== undefined && !session.hears(channel) && places.some((place) => place.waits)) {
      return this.hearFirst(places, channel, session);
    }
    if (places.length === 1 && only !== undefined) return this.askFor(session, places, only.waits);
    for (const place of places) if (!place.waits) this.askFor(session, [place], false);
    const waiting = places.filter((place) => place.waits);
    for (let at = 0; at < waiting.length; at += PLACES_A_CALL) {
      this.askFor(session, waiting.slice(at, at + PLACES_A_CALL), true);
    }
  }

  /**
   * On a Cluster each lock has an inbox of its own, to be heard before its first call waits. Most locks are free, so the
   * first call tries once without it.
   */
  private hearFirst(places: readonly Place[], channel: string, session: Session): void {
    const { host } = this;
    const { route } = host;
    const [only] = places;
    if (places.length === 1 && only?.known === false && this.hearing === 0) {
      return this.askFor(session, places, false);
    }
    const { epoch } = route;
    this.hearing += 1;
    route.inFlight += 1;
    session.hear(channel, route.asking).then(
      () => {
        this.hearing -= 1;
        if (epoch !== route.epoch) return;
        route.inFlight -= 1;
        this.ask(places.filter((place) => host.places.get(place.seq) === place && place.state !== 'asked'));
        host.forgetIfIdle();
      },
      (error: Error) => {
        this.hearing -= 1;
        if (epoch !== route.epoch || error instanceof SessionLostError) return;
        if (error instanceof RedirectedError) return route.redirected(error);
        route.inFlight -= 1;
        host.refused(places, error);
        host.forgetIfIdle();
      },
    );
  }

  private askFor(session: Session, places: readonly Place[], waits: boolean): void {
    const { host } = this;
    const { route, keys } = host;
    for (const place of places) {
      place.state = 'asked';
      place.known = true;
    }
    const args = [
      host.instance + (waits ? 'W' : 'T') + places.map((place) => place.asked).join(','),
      route.wireOf(session),
    ];
    const distrust = route.link?.distrusts(longestLease(places));
    if (distrust !== undefined) args.push(distrust);
    route.inFlight += 1;
    route.send({
      script: 'acquire',
      keys: [keys.state, keys.queue],
      args,
      replied: (reply, sentAt, _session, current) => {
        if (current) route.inFlight -= 1;
        session.clock.observe(heldOf(reply).now, sentAt, host.clock.now());
        if (waits) this.onQueued(places, reply, sentAt);
        else this.onTried(places, reply, sentAt);
        if (wantsSweep(reply)) host.sweepSoon();
        host.forgetIfIdle();
      },
      failed: (error) => {
        route.inFlight -= 1;
        host.refused(places, error);
        host.forgetIfIdle();
      },
    });
  }

  private onQueued(places: readonly Place[], reply: string, sentAt: number): void {
    const { host } = this;
    for (const place of places) if (place.state === 'asked') place.state = 'queued';
    for (const { seq, ticket } of ticketsOf(reply)) {
      const place = host.places.get(seq);
      if (place !== undefined) place.ticket = ticket;
    }
    if (reply.startsWith(ReplyCode.GRANTED)) host.takeReplied(reply, sentAt);
    else this.queueLength = lengthOf(reply);
    host.cancel(places.filter((place) => host.places.has(place.seq) && !place.turn.wanted));
    if (host.places.size > 0) host.watch(heldOf(reply), places);
  }

  /** Who only tries is in no queue: granted now, or busy, also when asking gave the lock to others of this instance. */
  private onTried(places: readonly Place[], reply: string, sentAt: number): void {
    const { host } = this;
    const granted = reply.startsWith(ReplyCode.GRANTED);
    if (granted) host.takeReplied(reply, sentAt);
    else this.queueLength = lengthOf(reply);
    const holder = granted ? host.instance : holderOf(reply);
    for (const place of places) if (host.places.has(place.seq)) host.busy(place, holder);
  }
}
