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

/** setTimeout takes no more; a tick that comes early finds nothing to do. */
const LONGEST_TIMER = 2_147_483_647;

/** Renews every grant of an instance, by one timer. */
export class LeaseRenewal {
  private readonly grants = new Set<Renewable>();
  private timer: NodeJS.Timeout | undefined;
  private dueAt = Infinity;

  constructor(private readonly clock: LocalClock) {}

  add(grant: Renewable): void {
    this.grants.add(grant);
    this.wakeAt(Math.min(grant.renewAt, grant.deadline));
  }

  /** The timer is left as it is and finds nothing to do: setting it anew for each short lease would cost more. */
  remove(grant: Renewable): void {
    this.grants.delete(grant);
  }

  /** Stops the timer for good. */
  close(): void {
    this.grants.clear();
    this.rest();
  }

  /** To be called when something is due earlier than it was. */
  wakeAt(time: number): void {
    if (time >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = time;
    const delay = Math.min(Math.max(Math.ceil(time - this.clock.now()), 1), LONGEST_TIMER);
    this.timer = setTimeout(() => this.tick(), delay).unref();
  }

  private rest(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.dueAt = Infinity;
  }

  private tick(): void {
    this.rest();
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
