import { answerOf } from '../answer-of.js';
import type { Arena } from '../arena.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { gate } from '../gate.js';
import type { Lease } from '../../locking/lease.js';
import { pause } from '../patience.js';

const SHORT_WAIT = 50;
/** Between two looks at what is left, in milliseconds. */
const LOOK = 50;

/** What is left when all is over. */
export const endCases: readonly ContractCase[] = [
  {
    title: 'sends those away who wait when the application shuts down, and lets those finish who hold',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const application = await arena.openApplication();
      const { locks } = application;
      const name = arena.key('shut-down');
      const inside = gate<Lease>();
      const mayEnd = gate();
      const holding = locks.run(name, async (held) => {
        inside.open(held);
        await mayEnd.passed;
        return 'finished';
      });
      const lease = await arena.soon('the holder gets in', inside.passed);
      const waiting = answerOf(locks.run(name, () => 'done', { waitTime: 60_000 }));
      await arena.untilWaiting(locks, name, () => 1);
      const closed = application.close();
      try {
        promiseEqual('who waits is sent away', await arena.soon('the wait ends', waiting), 'LOCK_SHUTDOWN');
        const newcomer = answerOf(locks.run(arena.key('late'), () => 'done'));
        promiseEqual(
          'nobody comes in any more',
          await arena.soon('the call ends', newcomer),
          'LOCK_SHUTDOWN',
        );
        promise('who holds goes on holding', !lease.isLost && lease.remaining > 0);
        if (arena.traits.scope === 'shared') {
          const [other] = await arena.contenders(1);
          promiseEqual('others stay outside', await other.probe(name), 'LOCK_BUSY');
        }
      } finally {
        mayEnd.open();
        await arena.soon('the application closes', closed);
      }
      promiseEqual('who holds finishes', await holding, 'finished');
      if (arena.traits.scope !== 'shared') return;
      const [other] = await arena.contenders(1);
      promiseEqual('the lock is free afterwards', await other.probe(name), 'granted');
    },
  },
  {
    title: 'keeps no listener at the signal of its caller, however the call ends',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('listeners');
      const first = holder.attempt(name);
      const grant = await first.granted;
      const late = other.attempt(name, { waitTime: SHORT_WAIT });
      const next = other.attempt(name);
      await late.outcome();
      await grant.release();
      await (await next.granted).release();
      const left = await Promise.all([first, late, next].map((attempt) => attempt.listeners()));
      promiseEqual('nothing listens any more', left, [0, 0, 0]);
    },
  },
  {
    title: 'leaves neither holder nor waiter nor anything else in its store when all are gone',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('idle');
      const grant = await holder.acquire(name);
      const [late, stopped, served] = [
        other.attempt(name, { waitTime: SHORT_WAIT }),
        other.attempt(name),
        other.attempt(name),
      ];
      await late.outcome();
      await stopped.abort();
      await stopped.outcome();
      await grant.release();
      await (await arena.soon('who still waits is served', served.granted)).release();
      promiseEqual('nothing is left', await untilNothing(arena, () => leftovers(arena)), []);
    },
  },
];

/** What is left, also by other cases: some locks are to be kept for a while after their release. */
async function leftovers(arena: Arena): Promise<readonly string[]> {
  const [observer] = await arena.contenders(1);
  const looks = await Promise.all(arena.names.map((name) => observer.inspect(name)));
  const inUse = looks.flatMap((look) =>
    look !== undefined && (look.held || look.waiters.length > 0) ? [look.name] : [],
  );
  return [...inUse, ...((await arena.subject.leftovers?.()) ?? [])];
}

async function untilNothing(
  arena: Arena,
  look: () => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const end = performance.now() + arena.patience;
  let left = await look();
  while (left.length > 0 && performance.now() < end) {
    await pause(LOOK);
    left = await look();
  }
  return left;
}
