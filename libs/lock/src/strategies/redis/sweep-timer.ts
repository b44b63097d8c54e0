import { Alarm } from './alarm.js';
import type { LocalClock } from './local-clock.js';

/** The most that is added to a pause, so that the processes that wait for one lock don't come all at once. */
const LONGEST_JITTER = 50;

/** The one timer of a lock that somebody waits for here. It never fires without a pause before. */
export class SweepTimer {
  private readonly alarm: Alarm;

  constructor(
    private readonly clock: LocalClock,
    sweep: () => void,
  ) {
    this.alarm = new Alarm(clock, sweep, true);
  }

  /** Sweeps in so many milliseconds, or earlier when that was agreed before. */
  within(pause: number): void {
    const least = Math.max(pause, 0) + 1;
    this.alarm.setFor(this.clock.now() + least, Math.random() * Math.min(LONGEST_JITTER, 2 + least / 20));
  }

  stop(): void {
    this.alarm.stop();
  }
}
