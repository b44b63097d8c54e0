import type { Call, History } from '../history/history';
import { milliseconds } from '../history/moment';
import { AFTERMATH, excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** Milliseconds by which a timer may be early: it counts whole ones. */
const EARLY = 5;

/** Milliseconds: a store that is well answers within them, on a machine under load too. */
const ANSWER = 1_000;

/**
 * Who is refused is told the truth: busy when its wait time is over and not before, unavailable when a fault kept it from
 * the store, or a wait was over that was too short for an answer, shut down when its process was leaving, and its own
 * reason when it gave up by itself. Anything else is a bug that a caller would have to live with.
 */
export function checkRefusals({ calls, faults }: History, _: Promises): Violation[] {
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  const isTrue = ({ rejected, process, invokedAt, waitEndsAt, abortedAt }: Call): boolean => {
    switch (rejected?.code) {
      case undefined:
        return true;
      case 'LOCK_BUSY':
        return rejected.at >= waitEndsAt - milliseconds(EARLY);
      case 'LOCK_UNAVAILABLE':
        return (
          excused(faults, kinds, [process], invokedAt - milliseconds(AFTERMATH), rejected.at) ||
          (isShort(waitEndsAt - invokedAt) && rejected.at >= waitEndsAt - milliseconds(EARLY))
        );
      case 'LOCK_SHUTDOWN':
        return excused(faults, ['leave'], [process], invokedAt, rejected.at);
      case 'ABORTED':
        return abortedAt !== undefined;
      default:
        return false;
    }
  };
  return calls.flatMap((call) => {
    if (call.rejected === undefined || isTrue(call)) return [];
    const { at, code } = call.rejected;
    const says = `${call.id} was refused "${call.key}" with ${code}, for which there was no reason`;
    return [{ broken: 'refusals', says, calls: [call], from: call.invokedAt, to: at }];
  });
}

function isShort(wait: number): boolean {
  return wait > 0 && wait < milliseconds(ANSWER);
}
