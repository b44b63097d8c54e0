import type { LocalClock } from './local-clock.js';

/** The most that is added to a pause, so that the processes that wait for one lock don't come all at once. */
const LONGEST_JITTER = 50;
const LONGEST_TIMER = 2_000_000_000;

/** The one timer of a lock that somebody waits for here. It never fires without a pause before. */
export class SweepTimer {
  private timer: NodeJS.Timeout | undefined;
  private dueAt = Infinity;

  constructor(
    private readonly clock: LocalClock,
    private readonly sweep: () => void,
  ) {}

  /** Sweeps in so many milliseconds, or earlier when that was agreed before. */
  within(pause: number): void {
    const least = Math.max(pause, 0) + 1;
    const dueAt = this.clock.now() + least;
    if (dueAt >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = dueAt;
    const jitter = Math.random() * Math.min(LONGEST_JITTER, 2 + least / 20);
    this.timer = setTimeout(() => this.fire(), Math.min(Math.ceil(least + jitter), LONGEST_TIMER));
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.dueAt = Infinity;
  }

  private fire(): void {
    this.stop();
    this.sweep();
  }
}
