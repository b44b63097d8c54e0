import type { Arena } from '../arena.js';
import type { Attempt, Contender } from '../contender/contender.js';
import { ProcessContender } from '../contender/process-contender.js';
import {
  type ContractCase,
  everyStrategy,
  orderedStrategies,
  unorderedStrategies,
} from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { checkTurns, passAround } from '../grant-record.js';
import { eventually } from '../patience.js';

const WAITERS = 50;
const PROBES = 20;
/** Where the machine is quick all waiters have arrived by then, and short waits end while the others are being served. */
const SHORT_WAIT = 1_000;

export const orderCases: readonly ContractCase[] = [
  {
    title: `grants ${WAITERS} waiters in the order of arrival, when a third of them gives up meanwhile`,
    appliesTo: orderedStrategies,
    run: serveMany,
  },
  {
    title: `grants ${WAITERS} waiters one at a time, when a third of them gives up meanwhile`,
    appliesTo: unorderedStrategies,
    run: serveMany,
  },
  {
    title: 'passes over a waiter that went away, at once and not too early',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other, leaving] = await arena.contenders(3);
      const name = arena.key('gone');
      const grant = await holder.acquire(name);
      const [first, gone, last] = await lineUp(arena, name, [holder, leaving, other]);
      await leave(leaving, gone);
      // The store hears of a death some time later. These keep it busy until then, and must not get in either.
      for (let probe = 0; probe < PROBES; probe += 1) {
        promiseEqual('nobody gets in past the waiters', await other.probe(name), 'LOCK_BUSY');
      }
      const early = [first, last].filter(({ settled }) => settled);
      promiseEqual('nobody is let in while the holder holds', early.length, 0);

      const { at: released } = await grant.release();
      const turns = await passAround(arena, [first, last]);
      // A lease outlasts our patience by far: who waits for the end of the dead waiter's fails here.
      promiseEqual('both that are left are served', turns.length, 2);
      promise(
        'nobody is served before the release',
        turns.every(({ grantedAt }) => grantedAt >= released),
        turns,
      );
      checkTurns(arena, turns);
    },
  },
];

async function serveMany(arena: Arena): Promise<void> {
  const contenders = await arena.contenders(3);
  const name = arena.key('queue');
  const grant = await contenders[0].acquire(name);
  const attempts: Attempt[] = [];
  const stillWaiting = (): number => attempts.filter(({ settled }) => !settled).length;
  for (let arrival = 0; arrival < WAITERS; arrival += 1) {
    const contender = contenders[arrival % 3] ?? contenders[0];
    // Not the same third for each contender: 1 of 3 in turns, shifted by one each round.
    const isShort = (arrival + Math.floor(arrival / 3)) % 3 === 0;
    attempts.push(contender.attempt(name, isShort ? { waitTime: SHORT_WAIT } : {}));
    await arena.untilLastWaits(name, attempts);
  }
  await eventually(
    'the first short wait ends',
    SHORT_WAIT + arena.patience,
    () => stillWaiting() < WAITERS - 1,
  );
  promiseEqual('nobody is let in while the holder holds', await grantedAmong(attempts), 0);
  await grant.release();
  const turns = await passAround(arena, attempts);
  promise(
    'all that did not give up are served',
    turns.length >= WAITERS - Math.ceil(WAITERS / 3),
    turns.length,
  );
  checkTurns(arena, turns);
}

async function grantedAmong(attempts: readonly Attempt[]): Promise<number> {
  const outcomes = await Promise.all(
    attempts.filter(({ settled }) => settled).map((attempt) => attempt.outcome()),
  );
  return outcomes.filter((outcome) => outcome === 'granted').length;
}

/** One waiter for each of the contenders, each seen waiting before the next comes. */
async function lineUp<T extends readonly Contender[]>(
  arena: Arena,
  name: string,
  contenders: T,
): Promise<{ [I in keyof T]: Attempt }> {
  const attempts: Attempt[] = [];
  for (const contender of contenders) {
    attempts.push(contender.attempt(name));
    await arena.untilLastWaits(name, attempts);
  }
  return attempts as { [I in keyof T]: Attempt };
}

/** A process is killed; a task of this process can only take its wish back. */
async function leave(contender: Contender, attempt: Attempt): Promise<void> {
  if (contender instanceof ProcessContender) return contender.kill();
  await attempt.abort();
  await attempt.outcome();
}
