import { type CallEvent, isCallEvent, type LifeEvent, type LockEvent, type Remaining } from './lock-event';
import { milliseconds, type Moment } from './moment';

/** What the harness did to processes and servers. */
export interface FaultRecord {
  readonly kind: string;
  /** The process that it hit; undefined when it hit the store, and so everybody. */
  readonly target?: string;
  readonly from: Moment;
  readonly until: Moment;
}

/** All that is known about one wish for one lock. */
export interface Call {
  readonly id: string;
  readonly process: string;
  readonly life: number;
  /** Calls of one life of a process are numbered as they were begun. */
  readonly number: number;
  readonly key: string;
  readonly invokedAt: Moment;
  /** When its wait time ends; Infinity when it never does. */
  readonly waitEndsAt: Moment;
  /** The longest lease that it asked for, in microseconds. (With `bypass` it may be served by a longer one of another.) */
  readonly longestLease: number;
  readonly arrivedAt?: Moment;
  readonly abortedAt?: Moment;
  readonly rejected?: { readonly at: Moment; readonly code: string };
  readonly grantedAt?: Moment;
  readonly token?: number;
  /** Moments at which its holder had the lock, and until when it could rely on having it. Empty for a late grant. */
  readonly claims: readonly Claim[];
  /** When its holder began to give it back, in time. */
  readonly releasedAt?: Moment;
  /** When its holder began to give it back, in time or not; with this its commit begins. */
  readonly endBegunAt?: Moment;
  readonly isCommitted: boolean;
  readonly lostAt?: Moment;
  /** When its lease was first seen to be over, whether its holder had heard of it or not. */
  readonly lapsedAt?: Moment;
  /** When the end of its process was begun, if the call was not over by then. */
  readonly killedAt?: Moment;
}

export interface Claim {
  readonly at: Moment;
  /** Infinity where a lease can't lapse. */
  readonly until: Moment;
}

/** What happened in a round: of the same events it is always the same. */
export interface History {
  readonly calls: readonly Call[];
  readonly faults: readonly FaultRecord[];
  /** When everything was over. */
  readonly endedAt: Moment;
}

/**
 * Puts events of several processes together.
 *
 * @param faults - of kind `kill` and with a target where a process was killed
 */
export function historyOf(
  events: readonly LockEvent[],
  faults: readonly FaultRecord[],
  endedAt: Moment,
): History {
  const calls = new Map<string, CallEvent[]>();
  const stalls: FaultRecord[] = [];
  for (const event of events) {
    if (isCallEvent(event)) {
      const id = idOf(event);
      const known = calls.get(id);
      if (known === undefined) calls.set(id, [event]);
      else known.push(event);
    } else if (event.is === 'stall') {
      stalls.push({ kind: 'stall', target: event.process, from: event.since, until: event.at });
    }
  }
  const lives = livesOf(events, faults);
  return {
    calls: [...calls.values()]
      .map((steps) => callOf(steps, lives))
      .sort((one, other) => one.invokedAt - other.invokedAt),
    faults: [...faults, ...stalls].sort((one, other) => one.from - other.from),
    endedAt,
  };
}

/** From the first moment at which its holder had the lock to the last at which nobody else may have it. */
export function holdOf(
  call: Call,
  deadHolder: DeadHolder,
): { readonly from: Moment; readonly to: Moment } | undefined {
  const [first] = call.claims;
  const last = call.claims.at(-1);
  if (first === undefined || last === undefined) return undefined;
  if (call.releasedAt !== undefined) return { from: first.at, to: call.releasedAt };
  // Who hears that the lock is lost does not rely on it any longer, though its lease would have gone on.
  if (call.lostAt !== undefined) return { from: first.at, to: Math.min(last.until, call.lostAt) };
  const isNoticed = call.killedAt !== undefined && deadHolder === 'is noticed';
  return {
    from: first.at,
    to: isNoticed ? Math.min(last.until, Math.max(last.at, call.killedAt)) : last.until,
  };
}

/**
 * The earliest moment at which the lease that a holder relies on may have been given or renewed: what happened before
 * can't have ended it. (It may be long before the holder reads of it: its connection may have ended meanwhile.)
 */
export function inForceSince({ claims, invokedAt, longestLease }: Call, at: Moment): Moment {
  const until = Math.max(...claims.filter((claim) => claim.at <= at).map((claim) => claim.until));
  return until === Infinity ? invokedAt : Math.max(invokedAt, until - longestLease);
}

/** Whether a store keeps the lock of a killed process until its lease ends, or notices that it is gone. */
export type DeadHolder = 'keeps its lease' | 'is noticed';

/** When the call was over, in whichever way; undefined while it waits or holds. */
export function settledAt(call: Call): Moment | undefined {
  return call.grantedAt ?? call.rejected?.at ?? call.killedAt;
}

function idOf({ process, life, call }: CallEvent): string {
  return `${process}.${life}#${call}`;
}

/** When each life was killed: the first `kill` of its process after its start. */
function livesOf(
  events: readonly LockEvent[],
  faults: readonly FaultRecord[],
): (process: string, life: number) => Moment | undefined {
  const killed = new Map<string, Moment>();
  const starts = events.filter((event): event is LifeEvent => !isCallEvent(event) && event.is === 'start');
  for (const { process, life, at } of starts) {
    const next = starts.find((other) => other.process === process && other.life === life + 1);
    const kill = faults.find(
      ({ kind, target, from }) =>
        kind === 'kill' && target === process && from > at && (next === undefined || from < next.at),
    );
    if (kill !== undefined) killed.set(`${process}.${life}`, kill.from);
  }
  return (process, life) => killed.get(`${process}.${life}`);
}

function callOf(
  steps: readonly CallEvent[],
  killedAt: (process: string, life: number) => Moment | undefined,
): Call {
  const [invoke] = steps;
  if (invoke?.is !== 'invoke') throw new Error(`A call began with ${invoke?.is ?? 'nothing'}.`);
  const find = <Is extends CallEvent['is']>(is: Is): Extract<CallEvent, { is: Is }> | undefined =>
    steps.find((step): step is Extract<CallEvent, { is: Is }> => step.is === is);
  const answers = steps.filter(({ is }) => is === 'grant' || is === 'reject');
  if (answers.length > 1) throw new Error(`${idOf(invoke)} was answered ${answers.length} times.`);
  const grant = find('grant');
  const reject = find('reject');
  const release = find('release');
  const isOver = reject !== undefined || find('released') !== undefined || release !== undefined;
  return {
    id: idOf(invoke),
    process: invoke.process,
    life: invoke.life,
    number: invoke.call,
    key: invoke.key,
    invokedAt: invoke.at,
    waitEndsAt: spanEnd(invoke.at, invoke.waitTime),
    longestLease: milliseconds(
      Math.max(invoke.ttl, ...steps.map((step) => (step.is === 'extended' ? step.duration : 0))),
    ),
    arrivedAt: find('arrived')?.at,
    abortedAt: find('abort')?.at,
    rejected: reject && { at: reject.at, code: reject.code },
    grantedAt: grant?.at,
    token: grant?.token,
    claims: steps.flatMap((step) => {
      if (!('remaining' in step) || step.remaining === 0) return [];
      return [{ at: step.at, until: spanEnd(step.at, step.remaining) }];
    }),
    releasedAt: release !== undefined && release.remaining !== 0 ? release.at : undefined,
    endBegunAt: release?.at,
    isCommitted: find('committed') !== undefined,
    lostAt: find('lost')?.at,
    lapsedAt: steps.find((step) => step.is === 'lost' || ('remaining' in step && step.remaining === 0))?.at,
    killedAt: isOver ? undefined : killedAt(invoke.process, invoke.life),
  };
}

function spanEnd(from: Moment, duration: Remaining): Moment {
  return duration === 'for ever' ? Infinity : from + milliseconds(duration);
}
