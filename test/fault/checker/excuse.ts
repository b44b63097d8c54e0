import type { FaultRecord } from '../history/history';
import type { Moment } from '../history/moment';

/** Milliseconds after a fault in which its effects may still be felt: connections are made anew. */
export const AFTERMATH = 2_000;

/** Whether a fault of these kinds hit one of the processes, or the store, in that time. */
export function excused(...[faults, kinds, processes, from, to]: Parameters<typeof hitting>): boolean {
  return hitting(faults, kinds, processes, from, to).length > 0;
}

/** The faults of these kinds that hit one of the processes, or the store, in that time; the first is the earliest. */
export function hitting(
  faults: readonly FaultRecord[],
  kinds: readonly string[],
  processes: readonly string[],
  from: Moment,
  to: Moment,
): readonly FaultRecord[] {
  return faults.filter(
    (fault) =>
      kinds.includes(fault.kind) &&
      (fault.target === undefined || processes.includes(fault.target)) &&
      fault.from <= to &&
      fault.until >= from,
  );
}
