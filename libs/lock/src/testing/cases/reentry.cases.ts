import { answerOf } from '../answer-of.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { gate } from '../gate.js';
import { pause } from '../patience.js';

const DEPTH = 3;
const SIBLINGS = 3;
/** How long each sibling is inside, in milliseconds: time enough for another to come in. */
const INSIDE = 5;

/** Who is inside of a lock, and who is not. */
export const reentryCases: readonly ContractCase[] = [
  {
    title: 'lets calls enter again what they hold: nested, in a recursion, by this.other(), with one token',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { locks, methods } = await arena.application();
      const name = arena.key('again');
      const entered = gate<readonly unknown[]>();
      const mayEnd = gate();
      const outer = locks.run(name, async ({ token }) => {
        const nested = await locks.run(name, (inner) => inner.token, { waitTime: 0 });
        entered.open([token, nested, ...(await methods.recursion(name, DEPTH))]);
        await mayEnd.passed;
      });
      try {
        // Whichever is first: a call that waits for itself fails, and the outer one with it.
        const tokens = await arena.soon('every call enters', Promise.race([entered.passed, outer]));
        const [token] = tokens ?? [];
        promiseEqual('all have the token of the outer call', tokens, Array(DEPTH + 4).fill(token));
        const outside = answerOf(locks.tryAcquire(name));
        promiseEqual('nobody else gets in when the inner calls end', await outside, 'LOCK_BUSY');
      } finally {
        mayEnd.open();
        await outer;
      }
      promiseEqual('the lock is free when the outer call ends', await methods.trying(name), 'done');
    },
  },
  {
    title: 'takes no call for one inside that was left behind, without await, and outlived its lock',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { locks } = await arena.application();
      const name = arena.key('left-behind');
      const late = gate();
      let leftBehind = Promise.resolve('');
      await locks.run(name, () => {
        leftBehind = late.passed.then(() => answerOf(locks.run(name, () => 'done', { waitTime: 0 })));
      });
      const holder = await locks.acquire(name);
      late.open();
      promiseEqual('it finds the lock busy', await arena.soon('it ends', leftBehind), 'LOCK_BUSY');
      await holder.release();
    },
  },
  {
    title: 'lets calls in one at a time that one Promise.all began',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { locks } = await arena.application();
      const name = arena.key('siblings');
      let inside = 0;
      let most = 0;
      const sibling = (): Promise<void> =>
        locks.run(name, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await pause(INSIDE);
          inside -= 1;
        });
      await arena.soon('all get in', Promise.all(Array.from({ length: SIBLINGS }, sibling)));
      promise('they are inside one at a time', most === 1, { most });
    },
  },
];
