import { Alarm } from './alarm.js';
import type { LocalClock } from './local-clock.js';
import type { Waiter } from './waiter.js';

/** So many different waits are remembered before those are forgotten that nobody waits for. */
const MOST_LIMITS = 1_000;

/**
 * How long a call that does not want to wait gives Redis to answer. It is no wait for the lock: without a connection it
 * fails at once.
 */
const ANSWER_LIMIT = 1_000;

/**
 * Ends the waits of one instance when their time is over, by one timer for all: most waits are short, and a timer for each
 * would cost a lock more than the rest of its wait.
 */
export class WaitLimits {
  /** Calls that wait equally long, in the order in which they began, and so in which they end. */
  private readonly queues = new Map<number, Set<Waiter>>();
  private tidyAt = MOST_LIMITS;
  private readonly alarm: Alarm;

  constructor(private readonly clock: LocalClock) {
    this.alarm = new Alarm(clock, () => this.tick(), true);
  }

  add(waiter: Waiter): void {
    const limit = limitOf(waiter);
    if (limit === Infinity) return;
    const queue = this.queues.get(limit);
    if (queue === undefined) this.begin(limit, waiter);
    else queue.add(waiter);
    this.alarm.setFor(waiter.startedAt + limit);
  }

  remove(waiter: Waiter): void {
    this.queues.get(limitOf(waiter))?.delete(waiter);
  }

  /** Stops the timer for good. */
  close(): void {
    this.queues.clear();
    this.alarm.stop();
  }

  private begin(limit: number, waiter: Waiter): void {
    this.queues.set(limit, new Set([waiter]));
    if (this.queues.size < this.tidyAt) return;
    // Who waits until a deadline of its own waits for another time at each call.
    for (const [other, waiters] of this.queues) if (waiters.size === 0) this.queues.delete(other);
    this.tidyAt = Math.max(MOST_LIMITS, 2 * this.queues.size);
  }

  private tick(): void {
    const now = this.clock.now();
    for (const [limit, waiters] of this.queues) {
      for (const waiter of waiters) {
        const endsAt = waiter.startedAt + limit;
        if (endsAt > now) {
          this.alarm.setFor(endsAt);
          break;
        }
        waiters.delete(waiter);
        waiter.timeOut();
      }
      if (waiters.size === 0) this.queues.delete(limit);
    }
  }
}

/** Whole milliseconds, so that there are few different ones. */
function limitOf({ request: { waitTime } }: Waiter): number {
  return waitTime === 0 ? ANSWER_LIMIT : Math.ceil(waitTime);
}
