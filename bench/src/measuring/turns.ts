import { quantile } from './statistics';

/**
 * When somebody asked for a lock, had certainly sent the wish, entered and left: milliseconds of the machine's monotonic
 * clock, which all its processes share (`process.hrtime`, CLOCK_MONOTONIC).
 */
export interface Turns {
  readonly asked: Float64Array;
  readonly sent: Float64Array;
  readonly entered: Float64Array;
  readonly left: Float64Array;
  /** When those asked who did not get in before the round was over. */
  readonly unserved: Float64Array;
}

/** What the turns of all processes say together. */
export interface TurnFindings {
  /** How many entered before the one before them had left: any is a broken lock. */
  readonly overlaps: number;
  /** Entries a second within the window. */
  readonly rate: number;
  /** Milliseconds from asking to entering. */
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** The share of entries before which somebody had been waiting clearly longer. */
  readonly outOfOrder: number;
  /** The share of the window in which somebody was inside. */
  readonly busy: number;
  readonly entries: number;
  /** How many did not get in before the round was over, and still try. */
  readonly unserved: number;
}

/**
 * How much earlier somebody's wish must have been sent than another one was even asked for, to have come first without a
 * doubt: which of two messages Redis reads first is the kernel's choice, and a process may be off its core in between.
 */
const CLEARLY_EARLIER = 10;

/** @param window from when to when it counts; what lies outside only counts for exclusion. */
export function judge(
  turns: readonly Turns[],
  window: { readonly from: number; readonly to: number },
): TurnFindings {
  const all = turns
    .flatMap(({ asked, sent, entered, left }) =>
      Array.from(entered, (at, index) => ({
        asked: asked[index] ?? 0,
        sent: sent[index] ?? Infinity,
        entered: at,
        left: left[index] ?? Infinity,
      })),
    )
    .sort((one, other) => one.entered - other.entered);
  const inWindow = all.filter(({ entered }) => entered >= window.from && entered < window.to);
  const unserved = turns.flatMap((turn) => [...turn.unserved]);
  const waits = [
    ...inWindow.map(({ asked, entered }) => entered - asked),
    // At least this long: without them, the most unlucky would not count.
    ...unserved.filter((asked) => asked < window.to).map((asked) => window.to - asked),
  ];
  const elapsed = window.to - window.from;
  return {
    overlaps: countOverlaps(all),
    rate: (inWindow.length / elapsed) * 1_000,
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    worst: waits.reduce((worst, wait) => Math.max(worst, wait), 0),
    outOfOrder: countOvertakers(all, unserved, window) / Math.max(1, inWindow.length),
    busy: inWindow.reduce((sum, { entered, left }) => sum + left - entered, 0) / elapsed,
    entries: inWindow.length,
    unserved: unserved.length,
  };
}

function countOverlaps(all: readonly { readonly entered: number; readonly left: number }[]): number {
  let overlaps = 0;
  let lastLeft = -Infinity;
  for (const { entered, left } of all) {
    if (entered < lastLeft) overlaps += 1;
    lastLeft = Math.max(lastLeft, left);
  }
  return overlaps;
}

function countOvertakers(
  all: readonly { readonly asked: number; readonly sent: number; readonly entered: number }[],
  unserved: readonly number[],
  window: { readonly from: number; readonly to: number },
): number {
  let overtakers = 0;
  let earliestLater = unserved.reduce((earliest, asked) => Math.min(earliest, asked), Infinity);
  for (const { asked, sent, entered } of all.toReversed()) {
    if (entered >= window.from && entered < window.to && earliestLater + CLEARLY_EARLIER < asked) {
      overtakers += 1;
    }
    earliestLater = Math.min(earliestLater, sent);
  }
  return overtakers;
}
