import type { Arena } from '../arena.js';
import type { Attempt, Contender, ContenderError } from '../contender/contender.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { inTime } from '../in-time.js';

const WAIT = 200;
const LATEST = 500;

export const waitingCases: readonly ContractCase[] = [
  {
    title: `gives up after a wait time of ${WAIT} ms, and says whose lock is busy`,
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('wait');
      const grant = await holder.acquire(name);
      await inTime({ earliest: WAIT, latest: LATEST }, async () => {
        const error = await arena.soon('the wait ends', failureOf(other.attempt(name, { waitTime: WAIT })));
        promiseEqual('the error names the key', [error.code, error.key], ['LOCK_BUSY', name]);
      });
      promiseEqual('the holder is unharmed', await other.probe(name), 'LOCK_BUSY');
      await grant.release();
      await freeAgain(arena, other, name);
    },
  },
  {
    title: 'tries once when the wait time is 0',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('once');
      promiseEqual('a free lock is granted', await other.probe(name), 'granted');
      const grant = await holder.acquire(name);
      await inTime({ earliest: 0, latest: LATEST }, async () => {
        promiseEqual(
          'a taken lock is busy',
          await arena.soon('the try ends', other.probe(name)),
          'LOCK_BUSY',
        );
      });
      await grant.release();
      await freeAgain(arena, other, name);
    },
  },
  {
    title: 'stops waiting when its signal aborts, with the reason of the signal, and leaves nothing behind',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('abort');
      const grant = await holder.acquire(name);
      const attempt = other.attempt(name);
      await arena.untilWaiting(other, name, () => 1);
      await attempt.abort();
      promiseEqual(
        'the abort ends the wait',
        await arena.soon('the wait ends', attempt.outcome()),
        'ABORTED',
      );
      const { aborted } = await grant.state();
      promise('the holder is unharmed', !aborted);
      await grant.release();
      await freeAgain(arena, other, name);
    },
  },
  {
    title: 'does not even try when its signal was aborted before',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [contender] = await arena.contenders(1);
      const name = arena.key('aborted');
      const attempt = contender.abortedAttempt(name);
      promiseEqual('the attempt fails', await arena.soon('the attempt ends', attempt.outcome()), 'ABORTED');
      await freeAgain(arena, contender, name);
    },
  },
];

/** Who gave up must not get the lock after all: nobody would give it back before its lease, which outlasts our patience. */
async function freeAgain(arena: Arena, contender: Contender, name: string): Promise<void> {
  const grant = await arena.soon('the lock is free for the next', contender.acquire(name));
  await grant.release();
}

async function failureOf(attempt: Attempt): Promise<Partial<ContenderError>> {
  return attempt.granted.then(
    () => ({ code: 'granted' }),
    (error: ContenderError) => error,
  );
}
