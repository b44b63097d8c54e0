/** More than a clock is ever adjusted in small steps: the wall clock went on while the monotonic one stood still. */
const JUMP = 100;

/**
 * Milliseconds that never go back and never stand still. Monotonic clocks stop while a machine is suspended
 * (clock_gettime(2): CLOCK_MONOTONIC), and a lease that lapsed meanwhile would look alive: so when the wall clock jumps
 * ahead of the monotonic one, the difference counts as time that passed. A wall clock that somebody sets forward ends
 * leases early; that is the safe side.
 */
export class LocalClock {
  private passed = 0;
  private difference: number;

  constructor(
    private readonly monotonic: () => number = () => performance.now(),
    private readonly wall: () => number = () => Date.now(),
  ) {
    this.difference = wall() - monotonic();
  }

  now(): number {
    const monotonic = this.monotonic();
    const difference = this.wall() - monotonic;
    const jump = difference - this.difference;
    this.difference = difference;
    if (jump > JUMP) this.passed += jump;
    return monotonic + this.passed;
  }
}
