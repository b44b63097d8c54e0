import type { History } from '../history/history';
import { milliseconds } from '../history/moment';
import { excused } from './check-history';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** Milliseconds before a grant in which a fault may still have its effects: connections are made anew. */
const AFTERMATH = 3_000;

/** A lock is kept for as long as its holder wants it: without a fault nobody loses one. */
export function checkRenewal({ calls, faults }: History, _: Promises): Violation[] {
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  return calls.flatMap((call) => {
    const { lostAt, grantedAt, process } = call;
    if (lostAt === undefined || grantedAt === undefined) return [];
    if (excused(faults, kinds, [process], grantedAt - milliseconds(AFTERMATH), lostAt)) return [];
    const says = `${call.id} lost "${call.key}" though nothing had happened`;
    return [{ broken: 'renewal', says, calls: [call], from: call.invokedAt, to: lostAt }];
  });
}
