import type { History } from '../history/history';
import { milliseconds } from '../history/moment';
import { AFTERMATH, excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** A lock is kept for as long as its holder wants it: without a fault nobody loses one, whether it is told or not. */
export function checkRenewal({ calls, faults }: History, _: Promises): Violation[] {
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  return calls.flatMap((call) => {
    const { lapsedAt, grantedAt, process } = call;
    if (lapsedAt === undefined || grantedAt === undefined) return [];
    if (excused(faults, kinds, [process], grantedAt - milliseconds(AFTERMATH), lapsedAt)) return [];
    const says = `${call.id} lost "${call.key}" though nothing had happened`;
    return [{ broken: 'renewal', says, calls: [call], from: call.invokedAt, to: lapsedAt }];
  });
}
