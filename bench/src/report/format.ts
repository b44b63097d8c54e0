/** A figure with as many digits as mean something. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value !== 0 && Math.abs(value) < 0.1) return value.toPrecision(2);
  if (Math.abs(value) < 10) return value.toFixed(2);
  if (Math.abs(value) < 100) return value.toFixed(1);
  return Math.round(value).toLocaleString('en-US');
}

export function times(ratio: number): string {
  return Number.isFinite(ratio) ? `${digits(ratio)} x` : '-';
}

export function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(share > 0 && share < 0.01 ? 2 : 1)} %` : '-';
}
