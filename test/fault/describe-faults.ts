import { runRound } from './round';
import type { FaultSubject } from './subjects/fault-subject';

/** Milliseconds in which faults happen in a round that belongs to `npm test`. */
const SHORT = 7_000;
const LIMIT = 120_000;

/** A round that is the same each time; FAULT_SEED chooses another one. */
const SEED = Number(process.env.FAULT_SEED ?? 20);

/** The short round of a strategy: a taste of `npm run test:soak`, which finds more. */
export function describeFaults(subject: FaultSubject): void {
  describe(`${subject.name} under faults`, () => {
    it(
      `keeps exclusion, tokens, order and progress, and leaves nothing behind (seed ${SEED})`,
      async () => {
        const report = await runRound({ subject, seed: SEED, duration: SHORT });
        report.assertKept();
        // A round in which nothing happened proves nothing.
        expect(report.grants).toBeGreaterThan(50);
        expect([...report.faults.keys()].filter((kind) => kind !== 'stall').length).toBeGreaterThanOrEqual(
          Math.min(3, subject.faults.length),
        );
      },
      LIMIT,
    );
  });
}
