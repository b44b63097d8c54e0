import { type Call, type History, holdOf } from '../history/history';
import type { Moment } from '../history/moment';
import type { Promises } from './promises';
import type { Violation } from './violation';

/**
 * Each holder's token is above those of all who held the lock before it, whatever happened in between: no fault excuses
 * a token. Of two who held it at once (where that is excused) only the tokens must differ.
 */
export function checkTokens({ calls }: History, promises: Promises): Violation[] {
  const granted = calls.filter(({ grantedAt }) => grantedAt !== undefined);
  if (!promises.fencing) {
    return granted
      .filter(({ token }) => token !== undefined)
      .map((call) => violation(call, call, 'has a token, although the strategy has none'));
  }
  const bad = granted.filter(({ token }) => !Number.isSafeInteger(token));
  return [
    ...bad.map((call) => violation(call, call, `has no token but ${String(call.token)}`)),
    ...repeatedTokens(granted),
    ...fallingTokens(granted, promises),
  ];
}

function repeatedTokens(granted: readonly Call[]): Violation[] {
  const seen = new Map<number, Call>();
  return granted.flatMap((call) => {
    if (call.token === undefined) return [];
    const first = seen.get(call.token);
    seen.set(call.token, call);
    return first === undefined ? [] : [violation(first, call, `has the token ${call.token} again`)];
  });
}

function fallingTokens(granted: readonly Call[], { deadHolder }: Promises): Violation[] {
  const holds = granted.flatMap((call) => {
    const hold = holdOf(call, deadHolder);
    const { token } = call;
    return hold === undefined || token === undefined ? [] : [{ call, token, ...hold }];
  });
  const begun = [...holds].sort((one, other) => one.from - other.from);
  const ended = [...holds].sort((one, other) => one.to - other.to);
  const violations: Violation[] = [];
  let highest: { call: Call; token: number; to: Moment } | undefined;
  let next = 0;
  for (const hold of begun) {
    for (let over = ended[next]; over !== undefined && over.to < hold.from; over = ended[next]) {
      if (highest === undefined || over.token > highest.token) highest = over;
      next += 1;
    }
    if (highest === undefined || hold.token > highest.token) continue;
    violations.push(
      violation(
        highest.call,
        hold.call,
        `has the token ${hold.token} after ${highest.call.id} had ${highest.token}`,
      ),
    );
  }
  return violations;
}

function violation(earlier: Call, later: Call, what: string): Violation {
  return {
    broken: 'tokens',
    says: `${later.id} on "${later.key}" ${what}`,
    calls: earlier === later ? [later] : [earlier, later],
    from: earlier.grantedAt ?? earlier.invokedAt,
    to: later.grantedAt ?? later.invokedAt,
  };
}
