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
  takeReplied(reply: string, sentAt: number, receivedAt: number): void;
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
  /** The epoch of the route in which somebody is on the way to the queue: see {@link Asking.lead}. */
  private leadingIn: number | undefined;

  constructor(private readonly host: AskHost) {}

  ask(places: readonly Place[]): void {
    const { route } = this.host;
    const session = route.open;
    if (session === undefined || places.length === 0) return;
    const { channel } = route;
    if (channel !== undefined) {
      if (this.leadingIn === route.epoch) return;
      if (places.some(({ waits }) => waits) && !session.hears(channel)) {
        return this.lead(places, channel, session);
      }
    }
    // In their order: who only tries must not overtake who came before and waits.
    const [only] = places;
    if (places.length === 1 && only !== undefined) return this.askFor(session, places, only.waits);
    let waiting: Place[] = [];
    const askForWaiting = (): void => {
      if (waiting.length > 0) this.askFor(session, waiting, true);
      waiting = [];
    };
    for (const place of places) {
      if (!place.waits || waiting.length === PLACES_A_CALL) askForWaiting();
      if (place.waits) waiting.push(place);
      else this.askFor(session, [place], false);
    }
    askForWaiting();
  }

  /**
   * On a Cluster each lock has an inbox of its own, to be heard before its first call waits. Most locks are free, so the
   * first call tries once without it. Until it is answered, or the inbox is heard, nobody of ours is in the queue: whoever
   * were asked for meanwhile could overtake who came before. So all others wait, and are asked for in their order then.
   */
  private lead(places: readonly Place[], channel: string, session: Session): void {
    const { host } = this;
    const { route } = host;
    const { epoch } = route;
    this.leadingIn = epoch;
    const [only] = places;
    if (places.length === 1 && only?.known === false) return this.askFor(session, places, false);
    route.inFlight += 1;
    session.hear(channel, route.asking).then(
      () => {
        if (epoch !== route.epoch) return;
        route.inFlight -= 1;
        this.follow();
        host.forgetIfIdle();
      },
      (error: Error) => {
        if (epoch !== route.epoch || error instanceof SessionLostError) return;
        if (error instanceof RedirectedError) return route.redirected(error);
        route.inFlight -= 1;
        this.leadingIn = undefined;
        host.refused(
          this.unasked.filter(({ waits }) => waits),
          error,
        );
        this.ask(this.unasked);
        host.forgetIfIdle();
      },
    );
  }

  /** The way to the queue is known: those behind go on, in their order. */
  private follow(): void {
    this.leadingIn = undefined;
    this.ask(this.unasked);
  }

  private get unasked(): readonly Place[] {
    return [...this.host.places.values()].filter(({ state }) => state !== 'asked');
  }

  private askFor(session: Session, places: readonly Place[], waits: boolean): void {
    const { host } = this;
    const { route, keys } = host;
    const leads = !waits && places.some((place) => place.waits);
    for (const place of places) {
      place.state = 'asked';
      place.known = true;
    }
    const args = [host.instance + (waits ? 'W' : 'T') + askedOf(places), route.wireOf(session)];
    const distrust = route.link?.distrusts(longestLease(places));
    if (distrust !== undefined) args.push(distrust);
    route.inFlight += 1;
    route.send({
      script: 'acquire',
      keys: keys.both,
      args,
      replied: (reply, sentAt, receivedAt) => {
        route.answered();
        if (waits) this.noteTickets(places, reply);
        if (reply.startsWith(ReplyCode.GRANTED)) {
          host.takeReplied(reply, sentAt, receivedAt);
        } else {
          session.clock.observe(heldOf(reply).now, sentAt, receivedAt);
          this.queueLength = lengthOf(reply);
        }
        // Most locks are free, and nobody is left without it.
        if (host.places.size > 0 && waits) this.onQueued(places, reply);
        else if (host.places.size > 0) this.onTried(places, reply);
        if (leads) this.follow();
        if (wantsSweep(reply)) host.sweepSoon();
        host.forgetIfIdle();
      },
      failed: (error) => {
        route.answered();
        host.refused(places, error);
        if (leads) this.follow();
        host.forgetIfIdle();
      },
    });
  }

  private noteTickets(places: readonly Place[], reply: string): void {
    for (const place of places) {
      if (place.state !== 'asked') continue;
      place.state = 'queued';
      place.wasQueued = true;
    }
    for (const { seq, ticket } of ticketsOf(reply)) {
      const place = this.host.places.get(seq);
      if (place !== undefined) place.ticket = ticket;
    }
  }

  private onQueued(places: readonly Place[], reply: string): void {
    const { host } = this;
    host.cancel(places.filter((place) => host.places.has(place.seq) && !place.turn.wanted));
    if (host.places.size > 0) host.watch(heldOf(reply), places);
  }

  /** Who only tries is in no queue: granted now, or busy, also when asking gave the lock to others of this instance. */
  private onTried(places: readonly Place[], reply: string): void {
    const { host } = this;
    const holder = reply.startsWith(ReplyCode.GRANTED) ? host.instance : holderOf(reply);
    for (const place of places) if (host.places.has(place.seq)) host.busy(place, holder);
  }
}

function askedOf(places: readonly Place[]): string {
  const [only] = places;
  return places.length === 1 && only !== undefined
    ? only.asked
    : places.map((place) => place.asked).join(',');
}
