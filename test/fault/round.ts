import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { checkHistory } from './checker/check-history';
import type { Violation } from './checker/violation';
import { FaultInjector } from './faults/fault-injector';
import { type FaultRecord, type History, historyOf, settledAt } from './history/history';
import type { LockEvent } from './history/lock-event';
import { moment } from './history/moment';
import { watchForStalls } from './history/watch-for-stalls';
import { RoundReport } from './round-report';
import { type FaultKind, faultSchedule, type PlannedFault, printSchedule } from './schedule/fault-schedule';
import type { Damage, FaultSubject, OpenSubject } from './subjects/fault-subject';
import { Crew } from './worker/crew';

export interface RoundRequest {
  readonly subject: FaultSubject;
  readonly seed: number;
  /** Milliseconds in which faults happen; starting, a calm, and ending come on top. */
  readonly duration: number;
  /** Instead of all that the subject is put under. */
  readonly kinds?: readonly FaultKind[];
  /** Hears of each fault when it begins. */
  readonly onFault?: (fault: PlannedFault) => void;
}

const KEYS: readonly [string, ...string[]] = ['stock:1', 'stock:2'];

/** The process that takes each lock once when all faults are over. */
const LAST = 'last';

/**
 * Milliseconds without a fault at the end of a round, after what a fault may still excuse: whoever was hit must be able
 * to go on.
 */
const CALM = 1_000;

/** How long the calls that are under way at the end of a round may take: longer than any of them waits. */
const END_LIMIT = 20_000;

/**
 * Lets several processes take locks while faults hit them and their store, and checks what they say about it. What they
 * said stays in a file when it is wrong.
 *
 * @throws {Error} the round came to no end, or could not be judged: with the seed and the faults, for that may be the
 *   lock's fault too.
 */
export async function runRound(request: RoundRequest): Promise<RoundReport> {
  const { subject, seed } = request;
  const names = processesOf(subject);
  const schedule = faultSchedule({
    seed,
    kinds: request.kinds ?? subject.faults,
    processes: names,
    duration: request.duration,
    lease: subject.lease,
  });
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-distributed-lock-history-'));
  const historyFile = join(folder, 'history.jsonl');
  let report: RoundReport | undefined;
  try {
    report = await runSchedule({ ...request, names, schedule, historyFile });
    return report;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${subject.name}, seed ${seed}: the round came to no end, or could not be judged: ${said}\n\n${printSchedule(schedule)}\n\n` +
        `What the processes said is in ${historyFile}.`,
      { cause: error },
    );
  } finally {
    if (report?.violations.length === 0) rmSync(folder, { recursive: true, force: true });
  }
}

/** The names of those who work in a round. */
export function processesOf({ processes }: FaultSubject): readonly [string, ...string[]] {
  return Array.from({ length: processes }, (_, index) => `w${index + 1}`) as [string, ...string[]];
}

interface ScheduledRound extends RoundRequest {
  readonly names: readonly string[];
  readonly schedule: readonly PlannedFault[];
  readonly historyFile: string;
}

async function runSchedule({
  subject,
  seed,
  duration,
  names,
  schedule,
  historyFile,
  onFault = () => undefined,
}: ScheduledRound): Promise<RoundReport> {
  const store = await subject.open();
  try {
    const { recipe, tasks, lease } = subject;
    const crew = await Crew.gather(
      { recipe, tasks, lease, seed, historyFile, keys: KEYS },
      names,
      store.urls,
    );
    const stalls: FaultRecord[] = [];
    const unwatch = watchForStalls((from) => stalls.push({ kind: 'stall', from, until: moment() }));
    const injector = new FaultInjector(crew, store, seed);
    try {
      const startedAt = performance.now();
      await injector.run(schedule, onFault);
      const calm = schedule.length > 0 ? subject.promises.aftermath + CALM : 0;
      await pause(Math.max(calm, duration - (performance.now() - startedAt)));
      await crew.stop(END_LIMIT);
      if (subject.scope === 'shared') await crew.probe(LAST, store.urls, END_LIMIT);
    } finally {
      await crew.dismiss();
      unwatch();
    }
    const history = historyOf(readEvents(historyFile), [...injector.records, ...stalls], moment());
    const violations = [
      ...checkHistory(history, subject.promises),
      ...(subject.scope === 'shared' ? unserved(history) : []),
      ...(await leftovers(store, crew, history)),
    ];
    return new RoundReport({ subject: subject.name, seed, schedule, history, historyFile, violations });
  } finally {
    await store.close();
  }
}

/** When all faults are over the locks are there again: whoever comes last gets each of them. */
function unserved({ calls, endedAt }: History): Violation[] {
  return KEYS.flatMap((key) => {
    const call = calls.find((one) => one.process === LAST && one.key === key);
    if (call !== undefined && call.claims.length > 0) return [];
    return [
      {
        broken: 'progress',
        says: `"${key}" could not be had, though all faults were over`,
        calls: call === undefined ? [] : [call],
        from: call?.invokedAt ?? endedAt,
        to: call === undefined ? endedAt : (settledAt(call) ?? endedAt),
      },
    ];
  });
}

async function leftovers(store: OpenSubject, crew: Crew, history: History): Promise<Violation[]> {
  const whole = { calls: [], from: history.endedAt, to: history.endedAt };
  return [
    ...crew.troubles.map((says) => ({ ...whole, broken: 'residue' as const, says })),
    ...(await store.residue(KEYS)).map((says) => ({ ...whole, broken: 'residue' as const, says })),
    ...((await store.damage?.(history.calls)) ?? []).map(damageViolation),
  ];
}

function damageViolation({ says, calls }: Damage): Violation {
  const moments = calls.flatMap((call) => [call.invokedAt, call.endBegunAt ?? call.invokedAt]);
  return { broken: 'data', says, calls, from: Math.min(...moments), to: Math.max(...moments) };
}

function readEvents(file: string): LockEvent[] {
  // SIGKILL may cut the last line of a process in two: nothing that it said there happened for anybody else.
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as LockEvent);
}
