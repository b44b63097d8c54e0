import type { Call, History } from '../history/history';
import { milliseconds, type Moment } from '../history/moment';
import { disturbing, excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** Milliseconds by which two claims of one lease differ: the clock is read before the lease. */
const SAME = 20;

/** A lock is kept for as long as its holder wants it: without a fault nobody loses one, whether it is told or not. */
export function checkRenewal({ calls, faults }: History, { aftermath }: Promises): Violation[] {
  const kinds = disturbing(faults);
  return calls.flatMap((call) => {
    const { lapsedAt, grantedAt, process } = call;
    if (lapsedAt === undefined || grantedAt === undefined) return [];
    if (excused(faults, kinds, process, spentSince(call, lapsedAt) - milliseconds(aftermath), lapsedAt))
      return [];
    const says = `${call.id} lost "${call.key}" though nothing had happened`;
    return [{ broken: 'renewal', says, calls: [call], from: call.invokedAt, to: lapsedAt }];
  });
}

/**
 * Since when the lease that lapsed was spent: since it was renewed, or, when it never was, since it was asked for, for
 * what the command and its answer took on their way is lost to the holder.
 */
function spentSince({ claims, invokedAt, longestLease }: Call, lapsedAt: Moment): Moment {
  const ends = claims.map(({ until }) => until);
  const isRenewed = Math.max(...ends) - Math.min(...ends) > milliseconds(SAME);
  return isRenewed ? Math.max(invokedAt, lapsedAt - longestLease) : invokedAt;
}
