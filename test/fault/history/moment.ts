/** Microseconds of the machine's monotonic clock. */
export type Moment = number;

/**
 * The time that all processes of a test share. `process.hrtime` reads CLOCK_MONOTONIC (libuv's `uv_hrtime`), which
 * counts from the start of the machine, for every process the same, and which the kernel keeps equal on all cores; so
 * of two events that one caused the other, in whichever processes, the cause never has the higher time.
 * `performance.now()` counts from the start of each process, and `Date.now()` may be set back: neither would do.
 */
export function moment(): Moment {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** Milliseconds as a span between two moments. */
export function milliseconds(duration: number): number {
  return duration * 1_000;
}
