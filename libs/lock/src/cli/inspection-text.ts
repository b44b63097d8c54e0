import type { LockInspection } from '../locking/lock-strategy.js';

/** So many waiters are listed one by one; `--json` has them all. */
const MOST_LISTED = 20;

const UNITS = [
  { unit: 'd', length: 86_400_000 },
  { unit: 'h', length: 3_600_000 },
  { unit: 'min', length: 60_000 },
  { unit: 's', length: 1_000 },
] as const;

/** Who holds a lock and who waits for it, for people. */
export function textOf(inspection: LockInspection): string {
  const { name, held } = inspection;
  const lines = [`${name} is ${held ? 'held' : 'free'}`, ...facts(inspection), ...queue(inspection)];
  // What stands in Redis may be anybody's, and a terminal obeys control characters.
  return `${lines.map((line) => line.replace(/\p{Cc}/gu, '?')).join('\n')}\n`;
}

/** A duration of milliseconds in its two largest units: `4 min 12 s`. */
export function durationText(duration: number): string {
  if (duration < 10_000) return `${(duration / 1_000).toFixed(1)} s`;
  const first = UNITS.findIndex(({ length }) => duration >= length);
  let rest = duration;
  const parts = UNITS.slice(first, first + 2).map(({ unit, length }) => {
    const count = Math.floor(rest / length);
    rest -= count * length;
    return count === 0 ? '' : `${count} ${unit}`;
  });
  return parts.filter((part) => part !== '').join(' ');
}

function facts({ holder, since, heldFor, remaining, token }: LockInspection): readonly string[] {
  const age = heldFor === undefined ? '' : ` (${durationText(heldFor)} ago)`;
  return [
    holder === undefined ? '' : `  holder   ${holder}`,
    since === undefined ? '' : `  since    ${since.toISOString()}${age}`,
    token === undefined ? '' : `  token    ${token}`,
    remaining === undefined ? '' : `  lease    ends in ${durationText(remaining)} unless it is renewed`,
  ].filter((line) => line !== '');
}

function queue({ waiters }: LockInspection): readonly string[] {
  const listed = waiters.slice(0, MOST_LISTED).map((waiter, place) => `    ${place + 1}. ${waiter}`);
  const unlisted = waiters.length - listed.length;
  return [
    `  waiting  ${waiters.length === 0 ? 'nobody' : waiters.length}`,
    ...listed,
    ...(unlisted > 0 ? [`    and ${unlisted} more`] : []),
  ];
}
