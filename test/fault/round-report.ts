import type { Violation } from './checker/violation';
import type { History } from './history/history';
import { printFaults, printViolation } from './history/print-history';
import { type PlannedFault, printSchedule } from './schedule/fault-schedule';

export interface RoundFacts {
  readonly subject: string;
  readonly seed: number;
  readonly schedule: readonly PlannedFault[];
  readonly history: History;
  /** All that the processes said, a line an event; kept when a promise was broken. */
  readonly historyFile: string;
  readonly violations: readonly Violation[];
}

/** Fewer grants prove nothing. */
const FEWEST_GRANTS = 10;

/** More would not be read. */
const MOST_SHOWN = 3;
const MOST_NAMED = 30;

/** What came of a round. */
export class RoundReport {
  constructor(readonly facts: RoundFacts) {}

  get violations(): readonly Violation[] {
    return this.facts.violations;
  }

  get grants(): number {
    return this.facts.history.calls.filter(({ claims }) => claims.length > 0).length;
  }

  /** How often each kind of fault happened, stalls of the machine included. */
  get faults(): ReadonlyMap<string, number> {
    return countBy(this.facts.history.faults.map(({ kind }) => kind));
  }

  /** How calls ended that did not get the lock, by the code of their error. */
  get refusals(): ReadonlyMap<string, number> {
    return countBy(this.facts.history.calls.flatMap(({ rejected }) => rejected?.code ?? []));
  }

  /**
   * @throws {Error} a promise was broken: with the seed, the faults, and the part of the history in which it was. Or too
   *   little happened for a proof.
   */
  assertKept(): void {
    if (this.violations.length > 0) throw new Error(this.print());
    const { subject, seed, schedule, history } = this.facts;
    const happened = history.faults.filter(({ kind }) => kind !== 'stall').length;
    if (happened !== schedule.length || this.grants < FEWEST_GRANTS) {
      throw new Error(
        `${subject}, seed ${seed}: proves nothing, with ${this.grants} grants and ${happened} of ${schedule.length} faults.`,
      );
    }
  }

  print(): string {
    const { subject, seed, schedule, history, historyFile, violations } = this.facts;
    return [
      `${subject}, seed ${seed}: ${violations.length} promises broken in ${this.grants} grants.`,
      `The faults as they were planned, in milliseconds from the start of the round:\n${printSchedule(schedule)}`,
      `The faults as they happened, in milliseconds from the first call:\n${printFaults(history)}`,
      ...violations.slice(0, MOST_SHOWN).map((violation) => printViolation(violation, history)),
      ...violations.slice(MOST_SHOWN, MOST_NAMED).map(({ broken, says }) => `${broken} is broken: ${says}`),
      `The whole history is in ${historyFile}.`,
    ].join('\n\n');
  }
}

function countBy(values: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
