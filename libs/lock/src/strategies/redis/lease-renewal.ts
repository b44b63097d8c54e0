import { Alarm } from './alarm.js';
import type { LocalClock } from './local-clock.js';

/** What is renewed: times are of the local clock. */
export interface Renewable {
  /** When the next attempt is due. */
  readonly renewAt: number;
  /** From then on somebody else may hold the lock. */
  readonly deadline: number;
  /** Sends a renewal, and sets `renewAt` to when it would be tried again. */
  renew(): void;
  /** The deadline has passed. */
  expire(): void;
}

/** What is due within this time is done in one go, so that many leases share wake-ups and packets. */
const GATHERED = 50;

/** Renews every grant of an instance, by one timer. */
export class LeaseRenewal {
  private readonly grants = new Set<Renewable>();
  private readonly alarm: Alarm;

  constructor(private readonly clock: LocalClock) {
    this.alarm = new Alarm(clock, () => this.tick(), false);
  }

  add(grant: Renewable): void {
    this.grants.add(grant);
    this.wakeAt(Math.min(grant.renewAt, grant.deadline));
  }

  remove(grant: Renewable): void {
    this.grants.delete(grant);
  }

  /** Stops the timer for good. */
  close(): void {
    this.grants.clear();
    this.alarm.stop();
  }

  /** To be called when something is due earlier than it was. */
  wakeAt(time: number): void {
    this.alarm.setFor(time);
  }

  private tick(): void {
    const now = this.clock.now();
    for (const grant of [...this.grants]) {
      if (now >= grant.deadline) grant.expire();
      else if (now + GATHERED >= grant.renewAt) grant.renew();
    }
    let next = Infinity;
    for (const grant of this.grants) next = Math.min(next, grant.renewAt, grant.deadline);
    if (next < Infinity) this.wakeAt(next);
  }
}
