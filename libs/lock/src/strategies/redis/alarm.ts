import type { LocalClock } from './local-clock.js';

/** setTimeout takes no more; an alarm that comes early finds nothing to do, and is set again. */
const LONGEST_TIMER = 2_147_483_647;

/**
 * One timer for many things that are due at some time: it goes off at the earliest. What is not due any more leaves it as
 * it is, for setting it anew would cost more than to find nothing to do.
 */
export class Alarm {
  private timer: NodeJS.Timeout | undefined;
  private dueAt = Infinity;

  /** @param keepsProcess - whether the process stays for it: somebody awaits what it does. */
  constructor(
    private readonly clock: LocalClock,
    private readonly goOff: () => void,
    private readonly keepsProcess: boolean,
  ) {}

  /** Something is due then, by the local clock, or so many milliseconds later. */
  setFor(time: number, jitter = 0): void {
    if (time >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = time;
    const delay = Math.min(Math.max(Math.ceil(time - this.clock.now() + jitter), 1), LONGEST_TIMER);
    this.timer = setTimeout(() => {
      this.stop();
      this.goOff();
    }, delay);
    if (!this.keepsProcess) this.timer.unref();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.dueAt = Infinity;
  }
}
