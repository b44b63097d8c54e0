import type { Arena } from './arena.js';
import type { Attempt, Grant } from './contender/contender.js';
import { promise } from './contract-violation.js';
import { pause } from './patience.js';

/** How long each holder keeps a lock that is passed around, so that two grants are never at the same millisecond. */
const HOLD = 3;

/** One turn of a lock that was passed around. */
export interface Turn {
  /** Its place in the order of arrival. */
  readonly arrival: number;
  readonly contender: unknown;
  readonly token: number | undefined;
  readonly grantedAt: number;
  /** When its release was begun. */
  readonly releasedAt: number;
}

/** Each waiter that gets the lock gives it back soon. Resolves to the turns in the order of the grants. */
export async function passAround(arena: Arena, attempts: readonly Attempt[]): Promise<readonly Turn[]> {
  const turns: Turn[] = [];
  const take = async (attempt: Attempt, arrival: number): Promise<void> => {
    const grant = await arena.soon(`waiter ${arrival} is served or sent away`, grantOrNothing(attempt));
    if (grant === undefined) return;
    await pause(HOLD);
    const { at: releasedAt } = await grant.release();
    turns.push({
      arrival,
      contender: attempt.contender,
      token: grant.token,
      grantedAt: grant.at,
      releasedAt,
    });
  };
  await Promise.all(attempts.map(take));
  return turns.sort((a, b) => a.grantedAt - b.grantedAt);
}

async function grantOrNothing(attempt: Attempt): Promise<Grant | undefined> {
  const outcome = await attempt.outcome();
  promise('who waits gets the lock or hears that it is busy', ['granted', 'LOCK_BUSY'].includes(outcome), {
    outcome,
  });
  return outcome === 'granted' ? attempt.granted : undefined;
}

/** One at a time, in the order that the strategy promises, with tokens that rise where it has them. */
export function checkTurns(arena: Arena, turns: readonly Turn[]): void {
  for (const [index, turn] of turns.entries()) {
    const earlier = turns[index - 1];
    if (earlier === undefined) continue;
    promise('nobody is let in before the holder gives the lock back', turn.grantedAt >= earlier.releasedAt, {
      earlier,
      turn,
    });
    if (arena.traits.fencing) checkToken(turn, earlier);
  }
  checkOrder(arena, turns);
}

function checkToken(turn: Turn, earlier: Turn): void {
  const { token } = turn;
  promise('every grant has a safe integer as its token', Number.isSafeInteger(token), { turn });
  promise('tokens rise with every holder', Number(token) > Number(earlier.token), { earlier, turn });
}

function checkOrder({ traits }: Arena, turns: readonly Turn[]): void {
  if (traits.order === 'none') return;
  for (const [index, turn] of turns.entries()) {
    const earlier = turns
      .slice(0, index)
      .filter(({ contender }) => traits.order === 'strict' || contender === turn.contender);
    promise(
      'who comes first is served first',
      earlier.every(({ arrival }) => arrival < turn.arrival),
      turns.map(({ arrival }) => arrival),
    );
  }
}
