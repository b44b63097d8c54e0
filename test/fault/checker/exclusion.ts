import { type Call, type History, holdOf, inForceSince } from '../history/history';
import type { Moment } from '../history/moment';
import { excused } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

interface Hold {
  readonly call: Call;
  readonly from: Moment;
  readonly to: Moment;
}

/**
 * Nobody holds a lock before the one before it began to give it back, or its lease was over. Holders report themselves
 * later than the store let them in, and their releases earlier than the store hears of them: an overlap in the
 * history was one in the store, whatever the machine did in between.
 */
export function checkExclusion({ calls, faults }: History, promises: Promises): Violation[] {
  const { deadHolder, excuses } = promises;
  const violations: Violation[] = [];
  let inside: Hold[] = [];
  for (const hold of holdsOf(calls, deadHolder)) {
    inside = inside.filter(({ to }) => to > hold.from);
    for (const earlier of inside) {
      const isExcused = [earlier.call, hold.call].some((call) =>
        excused(faults, excuses.exclusion, call.process, inForceSince(call, hold.from), hold.from),
      );
      if (isExcused) continue;
      violations.push({
        broken: 'exclusion',
        says: `${hold.call.id} holds "${hold.call.key}" while it is still ${earlier.call.id}'s`,
        calls: [earlier.call, hold.call],
        from: earlier.call.invokedAt,
        to: Math.min(earlier.to, hold.to),
      });
    }
    inside.push(hold);
  }
  return violations;
}

function holdsOf(calls: readonly Call[], deadHolder: Promises['deadHolder']): Hold[] {
  return calls
    .flatMap((call) => {
      const hold = holdOf(call, deadHolder);
      return hold === undefined ? [] : [{ call, ...hold }];
    })
    .sort((one, other) => one.from - other.from);
}
