import type { Call, History } from '../history/history';
import { checkExclusion } from './exclusion';
import { checkOrder } from './order';
import { checkProgress } from './progress';
import type { Promises } from './promises';
import { checkRefusals } from './refusals';
import { checkRenewal } from './renewal';
import { checkTokens } from './tokens';
import type { Violation } from './violation';

/** Everything in a history that breaks a promise; nothing when it is right. */
export function checkHistory(history: History, promises: Promises): readonly Violation[] {
  return [...byKey(history.calls).values()].flatMap((calls) => {
    const ofKey: History = { ...history, calls };
    return [checkExclusion, checkTokens, checkOrder, checkProgress, checkRenewal, checkRefusals].flatMap(
      (check) => check(ofKey, promises),
    );
  });
}

function byKey(calls: readonly Call[]): Map<string, Call[]> {
  const keys = new Map<string, Call[]>();
  for (const call of calls) {
    const known = keys.get(call.key);
    if (known === undefined) keys.set(call.key, [call]);
    else known.push(call);
  }
  return keys;
}
