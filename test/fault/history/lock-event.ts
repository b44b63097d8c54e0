import type { Moment } from './moment';

/**
 * What one process says about one call. Times are read *before* the state that they date: an event that says "the lock
 * is mine for `remaining` more milliseconds" was true at `at` already, because it was still true afterwards.
 */
export type LockEvent = CallEvent | LifeEvent;

export type CallEvent = {
  readonly at: Moment;
  /** Who calls, for example `w1`, which may live several times. */
  readonly process: string;
  readonly life: number;
  /** Unique within a life of a process; calls of one process are numbered as they were begun. */
  readonly call: number;
} & CallStep;

export type CallStep =
  | {
      readonly is: 'invoke';
      readonly key: string;
      readonly waitTime: number | 'for ever';
      readonly ttl: number;
    }
  /** The store was seen to know of the waiter. */
  | { readonly is: 'arrived' }
  /** The caller gives up by itself: from here on it may be passed over. */
  | { readonly is: 'abort' }
  /** The lock is the caller's; `remaining` 0 when its lease was over before anybody could use it. */
  | { readonly is: 'grant'; readonly token: number | undefined; readonly remaining: Remaining }
  /** A look in the middle of the work. */
  | { readonly is: 'hold'; readonly remaining: Remaining }
  | { readonly is: 'extended'; readonly duration: number; readonly remaining: Remaining }
  /** The release begins; `remaining` 0 when the lease was over by then. */
  | { readonly is: 'release'; readonly remaining: Remaining }
  /** Its transaction, where the lock has one, was committed. */
  | { readonly is: 'committed' }
  | { readonly is: 'released' }
  /** The lease's signal aborted. */
  | { readonly is: 'lost'; readonly reason: string }
  | { readonly is: 'reject'; readonly code: string };

/** Milliseconds, or a lease that can't lapse: JSON knows no infinity. */
export type Remaining = number | 'for ever';

/** What happens to a process as a whole. */
export type LifeEvent = { readonly at: Moment; readonly process: string; readonly life: number } & (
  | { readonly is: 'start' }
  /** It stood still for a while though nobody stopped it: a machine under load. Dated by its end. */
  | { readonly is: 'stall'; readonly since: Moment }
  | { readonly is: 'end' }
);

export function isCallEvent(event: LockEvent): event is CallEvent {
  return 'call' in event;
}
