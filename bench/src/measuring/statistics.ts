/** The middle of the values; NaN where there are none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this share of the values lies; NaN where there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  const rank = Math.ceil(share * sorted.length) - 1;
  const value = sorted[Math.max(0, rank)] ?? NaN;
  if (share !== 0.5 || sorted.length % 2 === 1) return value;
  return (value + (sorted[rank + 1] ?? value)) / 2;
}

/** The middle of the ratios of values that were measured one after the other, round by round. */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  return median(ours.map((value, round) => value / (theirs[round] ?? NaN)));
}
