import { type Call, type FaultRecord, type History, holdOf, inForceSince } from '../history/history';
import type { Moment } from '../history/moment';
import { hitting } from './excuse';
import type { Promises } from './promises';
import type { Violation } from './violation';

/**
 * Each holder's token is above those of all who held the lock before it, whatever happened in between: no fault excuses
 * a token. Of two who held it at once (where that is excused) only the tokens must differ; and who reads, after a fault
 * that excuses a second holder, a grant from before it has a token from before it: that is what tokens are for.
 */
export function checkTokens({ calls, faults }: History, promises: Promises): Violation[] {
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
    ...fallingTokens(granted, faults, promises),
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

function fallingTokens(
  granted: readonly Call[],
  faults: readonly FaultRecord[],
  { deadHolder, excuses }: Promises,
): Violation[] {
  const holds = granted.flatMap((call) => {
    const hold = holdOf(call, deadHolder);
    const { token, invokedAt, process } = call;
    if (hold === undefined || token === undefined) return [];
    const [hit] = hitting(faults, excuses.exclusion, process, invokedAt, hold.from);
    const since =
      hit === undefined ? hold.from : Math.min(hold.from, Math.max(hit.from, inForceSince(call, hold.from)));
    return [{ call, token, since, to: hold.to }];
  });
  const begun = [...holds].sort((one, other) => one.since - other.since);
  const ended = [...holds].sort((one, other) => one.to - other.to);
  const violations: Violation[] = [];
  let highest: { call: Call; token: number; to: Moment } | undefined;
  let next = 0;
  for (const hold of begun) {
    for (let over = ended[next]; over !== undefined && over.to < hold.since; over = ended[next]) {
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
