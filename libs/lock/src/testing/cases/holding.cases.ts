import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { passAround } from '../grant-record.js';
import { SCALE } from '../scale.js';

const HOLD_AT_LEAST = 400;
/** Nobody waits for its end, and nobody is so late that it is over. */
const LONG_HOLD = 10_000;
const RACES = 100 * SCALE;

/** How long a lock is held. */
export const holdingCases: readonly ContractCase[] = [
  {
    title: 'lets nobody in before holdAtLeast, though its holder has released it',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('hold-at-least');
      const askedAt = Date.now();
      const grant = await holder.acquire(name, { holdAtLeast: HOLD_AT_LEAST });
      const waiting = [other.attempt(name)];
      await arena.untilLastWaits(name, waiting);
      waiting.push(holder.attempt(name));
      await grant.release();
      const turns = await passAround(arena, waiting);
      promiseEqual('who waits gets in afterwards', turns.length, waiting.length);
      const waited = Number(turns[0]?.grantedAt) - askedAt;
      // The clocks of both processes are the same one, cut to milliseconds.
      promise('nobody gets in before', waited >= HOLD_AT_LEAST - 2, { waited });
      const { aborted } = await grant.state();
      promise('a release is no loss, though the lock is kept', !aborted);
    },
  },
  {
    title: 'runs a quick job once when two come at once and skip a busy lock',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const applications = await arena.applications();
      const name = arena.key('job');
      let runs = 0;
      const job = (): string => {
        runs += 1;
        return 'ran';
      };
      const options = { whenBusy: 'skip', holdAtLeast: LONG_HOLD } as const;
      const answers = await arena.soon(
        'both end',
        Promise.all(applications.map(({ locks }) => locks.run(name, job, options))),
      );
      promiseEqual('it runs once', runs, 1);
      promiseEqual('the other skips it', answers.filter((answer) => answer === undefined).length, 1);
      const [{ locks }] = applications;
      await arena.soon(
        'it is taken away',
        locks.forceRelease(name).catch(() => undefined),
      );
    },
  },
  {
    title: `is not brought back by an extension that is under way at its release, in ${RACES} races`,
    appliesTo: everyStrategy,
    run: async (arena) => {
      const contenders = await arena.contenders(2);
      const name = arena.key('race');
      const plan = { name, times: RACES, ttl: 20_000 };
      const results = await arena.inTheEnd(
        'all rounds end',
        Promise.all(contenders.map((contender) => contender.race(plan))),
      );
      const losses = results.reduce((sum, each) => sum + each.losses, 0);
      promiseEqual('a release is no loss, whatever an extension says', losses, 0);
      const outcomes = results.flatMap((each) => each.outcomes);
      const unknown = outcomes.filter(
        (outcome) => !['extended', 'LOCK_LOST', 'LOCK_NOT_OWNED'].includes(outcome),
      );
      promiseEqual('an extension succeeds, or says that the lock is not held', unknown, []);
      promiseEqual('the lock is free afterwards', await contenders[0].probe(name), 'granted');
    },
  },
];
