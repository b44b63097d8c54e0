import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkHistory } from './checker/check-history';
import type { Violation } from './checker/violation';
import { FaultInjector } from './faults/fault-injector';
import { type FaultRecord, type History, historyOf } from './history/history';
import type { LockEvent } from './history/lock-event';
import { moment } from './history/moment';
import { RoundReport } from './round-report';
import { type FaultKind, faultSchedule, type PlannedFault } from './schedule/fault-schedule';
import type { FaultSubject, OpenSubject } from './subjects/fault-subject';
import { Crew } from './worker/crew';

export interface RoundRequest {
  readonly subject: FaultSubject;
  readonly seed: number;
  /** Milliseconds in which faults happen; starting and ending come on top. */
  readonly duration: number;
  /** Instead of all that the subject is put under. */
  readonly kinds?: readonly FaultKind[];
  /** Hears of each fault when it begins. */
  readonly onFault?: (fault: PlannedFault) => void;
}

const KEYS: readonly [string, ...string[]] = ['stock:1', 'stock:2'];

/** How long the calls that are under way at the end of a round may take: longer than any of them waits. */
const END_LIMIT = 20_000;

/** Lets several processes take locks while faults hit them and their store, and checks what they say about it. */
export async function runRound(request: RoundRequest): Promise<RoundReport> {
  const { subject, seed, duration, onFault = () => undefined } = request;
  const names = Array.from({ length: subject.processes }, (_, index) => `w${index + 1}`);
  const schedule = faultSchedule({
    seed,
    kinds: request.kinds ?? subject.faults,
    processes: names as [string, ...string[]],
    duration,
    lease: subject.lease,
  });
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-distributed-lock-history-'));
  const historyFile = join(folder, 'history.jsonl');
  const store = await subject.open();
  try {
    const { recipe, tasks, lease } = subject;
    const crew = await Crew.gather(
      { recipe, tasks, lease, seed, historyFile, keys: KEYS },
      names,
      store.urls,
    );
    const stalls = new StallWatch();
    const injector = new FaultInjector(crew, store);
    try {
      const startedAt = performance.now();
      await injector.run(schedule, onFault);
      await pause(duration - (performance.now() - startedAt));
      await crew.stop(END_LIMIT);
      if (subject.scope === 'shared') await crew.probe('last', store.urls, END_LIMIT);
    } finally {
      await crew.dismiss();
      stalls.stop();
    }
    const history = historyOf(readEvents(historyFile), [...injector.records, ...stalls.records], moment());
    const violations = [
      ...checkHistory(history, subject.promises),
      ...(await leftovers(store, crew, history)),
    ];
    return new RoundReport({ subject: subject.name, seed, schedule, history, violations });
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function leftovers(store: OpenSubject, crew: Crew, history: History): Promise<Violation[]> {
  const whole = { calls: [], from: history.endedAt, to: history.endedAt };
  return [
    ...crew.troubles.map((says) => ({ ...whole, broken: 'residue' as const, says })),
    ...(await store.residue(KEYS)).map((says) => ({ ...whole, broken: 'residue' as const, says })),
    ...((await store.damage?.()) ?? []).map((says) => ({ ...whole, broken: 'data' as const, says })),
  ];
}

function readEvents(file: string): LockEvent[] {
  // SIGKILL may cut the last line of a process in two: nothing that it said there happened for anybody else.
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as LockEvent);
}

const STALL_CHECK = 50;
const STALL = 200;

/** Notices when this process, through which the workers reach their store, stood still. */
class StallWatch {
  readonly records: FaultRecord[] = [];
  private last = moment();
  private readonly timer = setInterval(() => {
    const now = moment();
    if (now - this.last > (STALL_CHECK + STALL) * 1_000) {
      this.records.push({ kind: 'stall', from: this.last, until: now });
    }
    this.last = now;
  }, STALL_CHECK);

  stop(): void {
    clearInterval(this.timer);
  }
}

function pause(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, duration)));
}
