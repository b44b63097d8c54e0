import type { Call, History } from '../history/history';
import { milliseconds } from '../history/moment';
import { disturbing, excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** Milliseconds by which a timer may be early: it counts whole ones. */
const EARLY = 5;

/** Milliseconds: who waits for less may not have been answered by a store that is well. */
const SHORT = 1_000;

/** Milliseconds: an answer that a fault held up is given up after them at the latest. */
const LONGEST_ANSWER = 1_000;

/**
 * Who is refused is told the truth: busy when its wait time is over and not before, unavailable when a fault kept it from
 * the store, or a short wait was over without an answer, shut down when its process was leaving, and its own reason when
 * it gave up by itself. Anything else is a bug that a caller would have to live with.
 */
export function checkRefusals({ calls, faults }: History, { aftermath, answer }: Promises): Violation[] {
  const kinds = disturbing(faults);
  const isTrue = ({ rejected, process, invokedAt, waitEndsAt, abortedAt }: Call): boolean => {
    switch (rejected?.code) {
      case undefined:
        return true;
      case 'LOCK_BUSY':
        return rejected.at >= waitEndsAt - milliseconds(EARLY);
      case 'LOCK_UNAVAILABLE': {
        const since =
          Math.max(invokedAt, rejected.at - milliseconds(LONGEST_ANSWER)) - milliseconds(aftermath);
        const wait = waitEndsAt - invokedAt;
        const limit = wait === 0 ? milliseconds(answer) : wait;
        return (
          excused(faults, kinds, process, since, rejected.at) ||
          (wait < milliseconds(SHORT) && rejected.at >= invokedAt + limit - milliseconds(EARLY))
        );
      }
      case 'LOCK_SHUTDOWN':
        return excused(faults, ['leave'], process, invokedAt, rejected.at);
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
