import type { FaultRecord } from '../history/history';
import type { Moment } from '../history/moment';

/** Whether a fault of these kinds hit the process, or the store, in that time. */
export function excused(
  faults: readonly FaultRecord[],
  kinds: readonly string[],
  process: string,
  from: Moment,
  to: Moment,
): boolean {
  return hitting(faults, kinds, process, from, to).length > 0;
}

/** The faults of these kinds that hit the process, or the store, in that time; the first is the earliest. */
export function hitting(
  faults: readonly FaultRecord[],
  kinds: readonly string[],
  process: string,
  from: Moment,
  to: Moment,
): readonly FaultRecord[] {
  return faults.filter(
    ({ kind, target, from: begins, until }) =>
      kinds.includes(kind) && (target === undefined || target === process) && begins <= to && until >= from,
  );
}

/** Every kind of fault that there was, but for those that cost nobody a lock or an answer. */
export function disturbing(faults: readonly FaultRecord[]): readonly string[] {
  return [...new Set(faults.map(({ kind }) => kind))].filter((kind) => !HARMLESS.includes(kind));
}

const HARMLESS: readonly string[] = ['script-flush', 'move-slot'];
