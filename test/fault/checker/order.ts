import type { Call, History } from '../history/history';
import { milliseconds, type Moment } from '../history/moment';
import { excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/** Where nobody saw a waiter arrive, it has arrived after this long: what hit it later hit it while it waited. */
const ARRIVAL = 1_000_000;

/**
 * Who surely came first, and still waits, is not overtaken. Calls of one process come in the order in which they were
 * begun; a call of another process comes later when it was begun after the store was seen to know of the first. Where
 * neither is so, nobody can tell the order of arrival, and none is expected.
 */
export function checkOrder({ calls, faults }: History, promises: Promises): Violation[] {
  const { order, excuses } = promises;
  if (order === 'none') return [];
  const grants = calls
    .flatMap((call) => (call.grantedAt === undefined ? [] : [{ call, at: call.grantedAt }]))
    .sort((one, other) => one.at - other.at);
  const violations: Violation[] = [];
  let waiting: Call[] = [];
  let next = 0;
  for (const { call, at } of grants) {
    for (let begun = calls[next]; begun !== undefined && begun.invokedAt < at; begun = calls[next]) {
      waiting.push(begun);
      next += 1;
    }
    waiting = waiting.filter((other) => waitsUntil(other) > at);
    for (const overtaken of waiting) {
      if (overtaken === call || !cameBefore(overtaken, call, order)) continue;
      const { process, invokedAt } = overtaken;
      const arrivedAt = overtaken.arrivedAt ?? invokedAt + ARRIVAL;
      const isExcused =
        excused(faults, excuses.orderWhileWaiting, process, invokedAt, at) ||
        excused(faults, excuses.orderWhileArriving, process, invokedAt, arrivedAt);
      if (isExcused && !isForgotten(overtaken, call, excuses.longest)) continue;
      violations.push({
        broken: 'order',
        says: `${call.id} got "${call.key}" although ${overtaken.id} came first and was waiting`,
        calls: [overtaken, call],
        from: invokedAt,
        to: at,
      });
    }
  }
  return violations;
}

function cameBefore(first: Call, second: Call, order: 'strict' | 'process'): boolean {
  if (first.process === second.process && first.life === second.life) return first.number < second.number;
  return order === 'strict' && first.arrivedAt !== undefined && first.arrivedAt < second.invokedAt;
}

function isForgotten(overtaken: Call, call: Call, longest: number): boolean {
  const isOfOneLife = overtaken.process === call.process && overtaken.life === call.life;
  return isOfOneLife && call.invokedAt - overtaken.invokedAt > milliseconds(longest);
}

/** Until when a call surely wants the lock: the wait ends in its process before the process can say so. */
function waitsUntil(call: Call): Moment {
  return Math.min(
    call.grantedAt ?? Infinity,
    call.rejected?.at ?? Infinity,
    call.waitEndsAt,
    call.abortedAt ?? Infinity,
    call.killedAt ?? Infinity,
  );
}
