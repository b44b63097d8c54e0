import type { LockEvent } from './lock-events.js';

/**
 * Wraps the two halves of a call for who traces or measures them: waiting for the lock, and holding it. What either
 * rejects with is its outcome: a `LockBusyError`, a `LockLostError`, an error of the work.
 * `openTelemetry()` builds one.
 *
 * @publicApi
 */
export abstract class LockInstrumentation {
  /** Runs the waiting for one lock. */
  abstract wait<T>(call: LockEvent, waiting: () => Promise<T>): Promise<T>;

  /** Runs the work inside of the locks of one call, their release included. `call` names the first of them. */
  abstract hold<T>(call: LockEvent, work: () => Promise<T>): Promise<T>;
}
