import { runRound } from './round';
import type { FaultKind } from './schedule/fault-schedule';
import type { FaultSubject } from './subjects/fault-subject';

/** Milliseconds in which faults happen in a round that belongs to `npm test`. */
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

async function keepsItsPromises(
  subject: FaultSubject,
  kinds: readonly FaultKind[],
  duration: number,
): Promise<void> {
  const report = await runRound({ subject, seed: SEED, duration, kinds });
  report.assertKept();
  // A round in which nothing happened proves nothing.
  expect(report.grants).toBeGreaterThan(10);
  const happened = [...report.faults.keys()].filter((kind) => kind !== 'stall');
  expect(happened.length).toBeGreaterThanOrEqual(Math.min(2, kinds.length));
}
