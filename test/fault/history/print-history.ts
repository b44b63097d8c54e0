import type { Violation } from '../checker/violation';
import type { Call, FaultRecord, History } from './history';
import type { Moment } from './moment';

const MOST_LINES = 60;
/** Microseconds before and after a violation that are shown too. */
const CONTEXT = 50_000;

/** The part of a history in which a promise was broken, for people: one line an event, times in milliseconds. */
export function printViolation(violation: Violation, history: History): string {
  const start = history.calls[0]?.invokedAt ?? 0;
  const window = { from: violation.from - CONTEXT, to: violation.to + CONTEXT };
  const keys = new Set(violation.calls.map(({ key }) => key));
  const concerned = new Set(violation.calls);
  const lines = [
    ...history.calls
      .filter(({ key }) => keys.has(key))
      .flatMap((call) => linesOf(call).map((line) => ({ ...line, mark: concerned.has(call) ? '>' : ' ' }))),
    ...history.faults.flatMap((fault) => linesOfFault(fault).map((line) => ({ ...line, mark: '!' }))),
  ]
    .filter(({ at }) => at >= window.from && at <= window.to)
    .sort((one, other) => one.at - other.at);
  return [
    `${violation.broken} is broken: ${violation.says}`,
    ...shorten(lines).map(
      ({ at, mark, text }) => `${mark} ${((at - start) / 1_000).toFixed(1).padStart(10)} ${text}`,
    ),
  ].join('\n');
}

/** When faults really happened, stalls of the machine aside: one line each. */
export function printFaults({ calls, faults }: History): string {
  const start = calls[0]?.invokedAt ?? 0;
  const told = (at: Moment): string => String(Math.round((at - start) / 1_000));
  return faults
    .filter(({ kind }) => kind !== 'stall')
    .map(
      ({ kind, target = 'the store', from, until }) =>
        `${told(from).padStart(8)} ms  ${kind} hits ${target} until ${told(until)} ms`,
    )
    .join('\n');
}

interface Line {
  readonly at: Moment;
  readonly text: string;
  readonly mark: string;
}

/** What concerns the violation stays; of the rest only as much as can be read. */
function shorten(lines: readonly Line[]): readonly Line[] {
  if (lines.length <= MOST_LINES) return lines;
  const kept = lines.filter(({ mark }) => mark !== ' ');
  const room = Math.max(0, MOST_LINES - kept.length);
  const others = lines.filter(({ mark }) => mark === ' ');
  // What happened last is closest to what went wrong.
  const shown = new Set([...kept, ...(room === 0 ? [] : others.slice(-room))]);
  return lines.filter((line) => shown.has(line));
}

function linesOf(call: Call): Omit<Line, 'mark'>[] {
  const { id, key } = call;
  const wait =
    call.waitEndsAt === Infinity
      ? 'for ever'
      : `${Math.round((call.waitEndsAt - call.invokedAt) / 1_000)} ms`;
  const lines: [Moment | undefined, string][] = [
    [call.invokedAt, `wants "${key}", waits ${wait}`],
    [call.arrivedAt, 'has arrived'],
    [call.abortedAt, 'gives up'],
    [call.rejected?.at, `is refused: ${call.rejected?.code}`],
    [call.grantedAt, `gets "${key}" with ${call.token}${call.claims.length === 0 ? ', too late' : ''}`],
    ...call.claims.map(({ at, until }): [Moment, string] => [
      at,
      until === Infinity ? 'holds' : `holds, for ${Math.round((until - at) / 1_000)} ms more`,
    ]),
    [call.lostAt, 'hears that it is lost'],
    [call.releasedAt, `gives "${key}" back`],
    [call.killedAt, 'is killed'],
  ];
  return lines.flatMap(([at, what]) => (at === undefined ? [] : [{ at, text: `${id} ${what}` }]));
}

function linesOfFault({ kind, target = 'the store', from, until }: FaultRecord): Omit<Line, 'mark'>[] {
  return [
    { at: from, text: `${kind} hits ${target}` },
    { at: until, text: `${kind} at ${target} is over` },
  ];
}
