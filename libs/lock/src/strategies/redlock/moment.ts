/** A point in local time. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

export function now(): Moment {
  return { monotonic: performance.now(), wall: Date.now() };
}

/**
 * Milliseconds since then, rather too many than too few. Monotonic clocks stand still while a machine is suspended
 * (clock_gettime(2), CLOCK_MONOTONIC) and wall clocks are set back, so the larger of the two counts. A wall clock that
 * is set forward ends leases early, which is the safe side.
 */
export function elapsedSince({ monotonic, wall }: Moment): number {
  return Math.max(performance.now() - monotonic, Date.now() - wall);
}
