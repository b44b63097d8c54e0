import { processesOf, runRound } from './round';
import { durationOfAll, type FaultKind } from './schedule/fault-schedule';
import type { FaultSubject } from './subjects/fault-subject';

/** Milliseconds in which faults happen, at the least, in a round that belongs to `npm test`. */
const SHORT = 6_000;
/** Of a round with few kinds of faults, or none. */
const SHORTER = 4_000;
const LIMIT = 120_000;

/** A round that is the same each time; FAULT_SEED chooses another one. */
const SEED = Number(process.env.FAULT_SEED ?? 20);

/** The short round of a strategy: a taste of `npm run test:soak`, which finds more. */
export function describeFaults(subject: FaultSubject): void {
  describe(`${subject.name} under faults`, () => {
    it(
      `keeps exclusion, tokens, order and progress, and leaves nothing behind (seed ${SEED})`,
      () => keepsItsPromises(subject, subject.faults, SHORT),
      LIMIT,
    );
  });
}

/** A round with nothing but these faults, for promises that a mixture would hardly try. */
export function describeFaultsOf(subject: FaultSubject, what: string, kinds: readonly FaultKind[]): void {
  describe(`${subject.name} under faults`, () => {
    it(`keeps its promises ${what} (seed ${SEED})`, () => keepsItsPromises(subject, kinds, SHORTER), LIMIT);
  });
}

/** In a round that is as long as it takes for each fault to happen. */
async function keepsItsPromises(
  subject: FaultSubject,
  kinds: readonly FaultKind[],
  shortest: number,
): Promise<void> {
  const { lease } = subject;
  const duration = durationOfAll({
    seed: SEED,
    kinds,
    processes: processesOf(subject),
    duration: shortest,
    lease,
  });
  const report = await runRound({ subject, seed: SEED, duration, kinds });
  report.assertKept();
  const happened = [...report.faults.keys()].filter((kind) => kind !== 'stall');
  expect(happened.sort()).toEqual([...kinds].sort());
}
