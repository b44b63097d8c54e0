import { sixteenDigits } from './replies.js';
import type { Waiter } from './waiter.js';

/** So many places travel in one call of `acquire` or `cancel`: scripts have to be short. */
export const PLACES_A_CALL = 200;

/** Where a place is, as far as this instance knows. */
export type PlaceState = 'unsent' | 'asked' | 'queued';

/** Who a place is for. With `bypass` a place is for whoever waits first when its turn comes. */
export interface Turn {
  /** Whether somebody waits for it. */
  readonly wanted: boolean;
  /** The next call to be served in this place. */
  next(): Waiter | undefined;
  /** Takes that call out. */
  take(): void;
}

/** An entry of a lock's queue in Redis. */
export class Place {
  state: PlaceState = 'unsent';
  /** Whether Redis may know it: a place that was never sent needs no cancel. */
  known = false;
  /** Whether it was queued, or had its turn behind others of its grant, when Redis last told: somebody else has the lock. */
  wasQueued = false;
  /** Its ticket, 0 before Redis gave one. Kept for good: a place comes back to where it was. */
  ticket = 0;
  /** The block of tokens that it served last, and how many calls of it. */
  private servedToken = 0;
  private served = 0;

  constructor(
    readonly seq: number,
    /** Milliseconds. */
    readonly lease: number,
    /** How many fencing tokens it needs: one for each call that it may serve. */
    readonly block: number,
    readonly turn: Turn,
    /** Whether it wants to be queued when the lock is not free. */
    readonly waits: boolean,
  ) {}

  /** As `acquire` takes it. */
  get asked(): string {
    return `${this.cancelled}:${this.ticket === 0 ? '0' : sixteenDigits(this.ticket)}`;
  }

  /** As `cancel` and `sweep` take it. */
  get cancelled(): string {
    return `${this.seq}:${this.lease}:${this.block}`;
  }

  /** How many calls of this block of tokens were served before: the same grant may come twice. */
  serve(token: number): number {
    if (this.servedToken !== token) {
      this.servedToken = token;
      this.served = 0;
    }
    return this.served++;
  }

  /** For how many more calls the place has tokens. */
  capacity(token: number): number {
    return this.servedToken === token ? this.block - this.served : this.block;
  }
}

/** In the order in which the calls came. */
export function inOrder(places: Iterable<Place>): readonly Place[] {
  return [...places].sort((a, b) => a.seq - b.seq);
}

export function longestLease(places: readonly Place[]): number {
  return places.reduce((longest, { lease }) => Math.max(longest, lease), 0);
}
