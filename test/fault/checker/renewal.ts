import type { History } from '../history/history';
import { milliseconds } from '../history/moment';
import { disturbing, excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** A lock is kept for as long as its holder wants it: without a fault nobody loses one, whether it is told or not. */
export function checkRenewal({ calls, faults }: History, { aftermath }: Promises): Violation[] {
  const kinds = disturbing(faults);
  return calls.flatMap((call) => {
    const { lapsedAt, grantedAt, process, longestLease } = call;
    if (lapsedAt === undefined || grantedAt === undefined) return [];
    // What kept it from being renewed did so in the time of the lease.
    const since = Math.max(grantedAt, lapsedAt - longestLease) - milliseconds(aftermath);
    if (excused(faults, kinds, process, since, lapsedAt)) return [];
    const says = `${call.id} lost "${call.key}" though nothing had happened`;
    return [{ broken: 'renewal', says, calls: [call], from: call.invokedAt, to: lapsedAt }];
  });
}
