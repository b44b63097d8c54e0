import type { DeadHolder } from '../history/history';

/** What a strategy promises in a round; the checker holds a history against it. */
export interface Promises {
  readonly order: 'strict' | 'process' | 'none';
  readonly fencing: boolean;
  readonly deadHolder: DeadHolder;
  /**
   * Milliseconds: how long a lock may lie free though somebody waits. Not a measure of speed: generous, and still far
   * below the wait times of a round, so that a waiter who is only saved by its time-out is found.
   */
  readonly patience: number;
  /** Milliseconds after a fault in which the store may still be called unavailable, and a lease be lost. */
  readonly aftermath: number;
  /** Milliseconds after which a call that only tries is told that the store gave no answer. */
  readonly answer: number;
  readonly excuses: Excuses;
}

/** Which faults a strategy is no match for, by what they excuse. What is not listed is promised in spite of the fault. */
export interface Excuses {
  /** Two holders: during such a fault the lease of one may have ended without its holder's knowing. */
  readonly exclusion: readonly string[];
  /** Who was hit while it waited may be overtaken; that who overtakes it was hit is no excuse. */
  readonly orderWhileWaiting: readonly string[];
  /**
   * Milliseconds: nothing excuses that somebody is overtaken by a call of its own process that came so much later. A
   * waiter that fell out of the queue unnoticed is found by this, for others keep the lock busy.
   */
  readonly longest: number;
  /** Who was hit while it was arriving may have arrived late. */
  readonly orderWhileArriving: readonly string[];
}
