import { answerOf } from '../answer-of.js';
import type { ContractApplication } from '../contract-application.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { pause } from '../patience.js';

const ROUNDS = 5;

/** Several locks in one call. */
export const severalCases: readonly ContractCase[] = [
  {
    title: 'takes several locks at once, whoever asks in which order: nobody waits for ever',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [one, two] = await arena.applications();
      const [a, b] = [arena.key('first'), arena.key('second')];
      let inside = 0;
      let most = 0;
      const work = async ({ locks }: ContractApplication, names: readonly string[]): Promise<void> => {
        for (let round = 0; round < ROUNDS; round += 1) {
          await locks.run(
            [...names],
            async () => {
              inside += 1;
              most = Math.max(most, inside);
              await pause(1);
              inside -= 1;
            },
            { waitTime: 60_000 },
          );
        }
      };
      await arena.soon(
        'all get both locks',
        Promise.all([work(one, [a, b]), work(two, [b, a]), work(one, [b, a]), work(two, [a, b])]),
      );
      promise('one of them is inside at a time', most === 1, { most });
    },
  },
  {
    title: 'gives back what it got when a later one of several locks is busy, and names that one',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [{ locks }, other] = await arena.applications();
      const [free, taken] = [arena.key('a-free'), arena.key('b-taken')];
      const holder = await other.locks.acquire(taken);
      const busy = await locks.acquire([taken, free], { waitTime: 0 }).catch((error: unknown) => error);
      const { code, key } = busy as { readonly code?: string; readonly key?: string };
      promiseEqual('the error names the lock that is busy', { code, key }, { code: 'LOCK_BUSY', key: taken });
      const next = other.locks.run(free, () => 'done', { waitTime: 0 });
      promiseEqual('the other one is free', await answerOf(next), 'granted');
      await holder.release();
    },
  },
  {
    title: 'keeps a lock that was taken inside of an open transaction until that has ended',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [{ locks, transactions }, other] = await arena.applications();
      const names = [arena.key('order'), arena.key('stock')] as const;
      const [order, stock] = names;
      const commit = transactions.holdCommit();
      const selling = locks.run(order, () => locks.run(stock, () => 'sold'), { transaction: true });
      try {
        await arena.soon('the inner call ends', Promise.race([commit.reached, selling]));
        for (const name of names) {
          const outside = answerOf(other.locks.tryAcquire(name));
          promiseEqual(`"${name}" is kept until the commit`, await outside, 'LOCK_BUSY');
        }
      } finally {
        commit.goOn();
        await selling;
      }
      for (const name of names) {
        promiseEqual(`"${name}" is free afterwards`, await other.methods.trying(name), 'done');
      }
    },
  },
];
