import { type Call, type History, holdOf, settledAt } from '../history/history';
import { milliseconds, type Moment } from '../history/moment';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** Milliseconds by which a call may hear late of the end of its wait: a measure of a busy machine, not of a lock. */
const LATEST = 5_000;

interface Span {
  readonly from: Moment;
  readonly to: Moment;
}

/**
 * Nobody waits for ever: a call hears of its end when its wait time is over, and a lock that is free does not lie about
 * while somebody waits. Time in which a process or the store stood still does not count; what is left before, between
 * and after such faults is added up.
 */
export function checkProgress(history: History, promises: Promises): Violation[] {
  const suspicious = history.calls.filter((call) => {
    const until = settledAt(call);
    return until === undefined || until - call.invokedAt > milliseconds(Math.min(LATEST, promises.patience));
  });
  if (suspicious.length === 0) return [];
  const held = history.calls.flatMap((call) => {
    const hold = holdOf(call, promises.deadHolder);
    return hold === undefined ? [] : [hold];
  });
  return suspicious.flatMap((call) => {
    const standstill = history.faults
      .filter(({ target }) => target === undefined || target === call.process)
      .map(({ from, until }) => ({ from, to: until }));
    return overdue(call, standstill, history) ?? idle(call, held, standstill, history, promises);
  });
}

function overdue(call: Call, standstill: readonly Span[], { endedAt }: History): Violation[] | undefined {
  const until = settledAt(call) ?? endedAt;
  const due = Math.min(call.waitEndsAt, call.abortedAt ?? Infinity);
  const isOpen = settledAt(call) === undefined;
  const late = uncovered({ from: due, to: until }, standstill);
  if (!isOpen && late <= milliseconds(LATEST)) return undefined;
  const says = isOpen
    ? `${call.id} waits for "${call.key}" for ever`
    : `${call.id} heard of the end of its wait for "${call.key}" ${Math.round(late / 1_000)} ms late`;
  return [{ broken: 'progress', says, calls: [call], from: call.invokedAt, to: until }];
}

function idle(
  call: Call,
  held: readonly Span[],
  standstill: readonly Span[],
  { endedAt }: History,
  { patience }: Promises,
): Violation[] {
  const until = settledAt(call) ?? endedAt;
  const free = gaps({ from: call.invokedAt, to: until }, held).map((gap) => uncovered(gap, standstill));
  const gap = Math.max(0, ...free);
  if (gap <= milliseconds(patience)) return [];
  return [
    {
      broken: 'progress',
      says: `"${call.key}" lay free for ${Math.round(gap / 1_000)} ms while ${call.id} was waiting`,
      calls: [call],
      from: call.invokedAt,
      to: until,
    },
  ];
}

/** How much of a span none of the others covers. */
function uncovered(span: Span, others: readonly Span[]): number {
  return gaps(span, others).reduce((total, { from, to }) => total + to - from, 0);
}

/** The parts of a span that none of the others covers. */
function gaps(span: Span, others: readonly Span[]): Span[] {
  const covering = others
    .filter(({ from, to }) => to > span.from && from < span.to)
    .sort((one, other) => one.from - other.from);
  const found: Span[] = [];
  let end = span.from;
  for (const { from, to } of covering) {
    if (from > end) found.push({ from: end, to: from });
    end = Math.max(end, to);
  }
  if (span.to > end) found.push({ from: end, to: span.to });
  return found;
}
