import type { LockKeys } from './lock-keys.js';
import { PLACES_A_CALL, type Place } from './place.js';
import { ReplyCode } from './replies.js';
import type { QueueSending } from './session.js';

export interface CancelHost {
  readonly keys: LockKeys;
  readonly instance: string;
  send(sending: QueueSending): boolean;
  /** A grant has overtaken the cancel. */
  takeReplied(reply: string, sentAt: number, receivedAt: number): void;
  retrySoon(): void;
  forgetIfIdle(): void;
}

/** Redis refuses it again and again (an ACL): whoever comes to have the lock there gives it back at once. */
const MOST_ATTEMPTS = 100;

/** Places of one lock that are to be taken out of Redis' queue, until Redis says that they are. */
export class Cancels {
  private readonly outstanding = new Map<number, Place>();
  /** How often in a row Redis has answered with an error. */
  private failures = 0;

  constructor(private readonly host: CancelHost) {}

  get isEmpty(): boolean {
    return this.outstanding.size === 0;
  }

  add(places: readonly Place[]): void {
    for (const place of places) this.outstanding.set(place.seq, place);
    for (let at = 0; at < places.length; at += PLACES_A_CALL) {
      this.send(places.slice(at, at + PLACES_A_CALL));
    }
  }

  /** Sends again what was not answered. */
  resume(): void {
    this.add([...this.outstanding.values()]);
  }

  private send(places: readonly Place[]): void {
    const { keys, instance } = this.host;
    this.host.send({
      script: 'cancel',
      keys: keys.both,
      args: [instance + places.map((place) => place.cancelled).join(',')],
      replied: (reply, sentAt, receivedAt) => {
        this.failures = 0;
        for (const place of places) this.outstanding.delete(place.seq);
        // The grant overtook the cancel: nobody wants it any more, so taking it hands it on.
        if (reply.startsWith(ReplyCode.GRANTED)) this.host.takeReplied(reply, sentAt, receivedAt);
        this.host.forgetIfIdle();
      },
      failed: () => {
        this.failures += 1;
        if (this.failures < MOST_ATTEMPTS) return this.host.retrySoon();
        for (const place of places) this.outstanding.delete(place.seq);
        this.host.forgetIfIdle();
      },
    });
  }
}
