import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Arena } from '../arena.js';
import { numberIn } from '../contender/counting.js';
import type { CountPlan } from '../contender/contender-command.js';
import { type ContractCase, everyStrategy } from '../contract-case.js';
import { promise, promiseEqual } from '../contract-violation.js';
import { SCALE } from '../scale.js';

const TASKS = 2;
const ROUNDS = 20 * SCALE;
const REPETITIONS = 1_000 * SCALE;

export const exclusionCases: readonly ContractCase[] = [
  {
    title: 'has the traits that it is tried for',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [contender] = await arena.contenders(1);
      const { scope, order, fencing } = await contender.traits();
      const { traits } = arena;
      promiseEqual(
        'the strategy claims no more and no less than it is tried for',
        { scope, order, fencing },
        {
          scope: traits.scope,
          order: traits.order,
          fencing: traits.fencing,
        },
      );
    },
  },
  {
    title: 'loses no update of counters that only the lock protects',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { lost, overlaps, staleTokens } = await count(arena, { ttl: 20_000, waitTime: 60_000 });
      promiseEqual('nobody else is inside', overlaps, 0);
      promiseEqual('every update is there', lost, 0);
      promiseEqual('tokens rise with every holder', staleTokens, []);
    },
  },
  {
    title: 'protects counters that lose updates without it',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const { lost } = await count(arena, undefined);
      promise(
        'the same work loses updates without the lock, or the case with the lock shows nothing',
        lost > 0,
      );
    },
  },
  {
    title: 'is busy for a second caller, also of the same contender, and only under its own key',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [holder, other] = await arena.contenders(2);
      const name = arena.key('busy');
      const grant = await holder.acquire(name);
      promiseEqual('a second caller is told that the lock is busy', await other.probe(name), 'LOCK_BUSY');
      promiseEqual('the holder itself is told so too', await holder.probe(name), 'LOCK_BUSY');
      promiseEqual('another key is free', await other.probe(arena.key('other')), 'granted');
      await grant.release();
      promiseEqual('the key is free after the release', await other.probe(name), 'granted');
    },
  },
  {
    title: 'has a token that is a safe integer, or none, as it claims',
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [contender] = await arena.contenders(1);
      const { token } = await contender.acquire(arena.key('token'));
      const expected = arena.traits.fencing ? Number.isSafeInteger(token) : token === undefined;
      promise('the token is what the traits say', expected, { token, traits: arena.traits });
    },
  },
  {
    title: `locks and unlocks ${REPETITIONS} times without a pause`,
    appliesTo: everyStrategy,
    run: async (arena) => {
      const [contender] = await arena.contenders(1);
      const name = arena.key('repeat');
      await arena.inTheEnd('all rounds end', contender.repeat({ name, times: REPETITIONS, ttl: 20_000 }));
      promiseEqual('the lock is free afterwards', await contender.probe(name), 'granted');
    },
  },
];

interface CountTotals {
  /** Updates that are not in the files. */
  readonly lost: number;
  readonly overlaps: number;
  readonly staleTokens: readonly unknown[];
}

/** Four contenders count together, each in several tasks, under two keys. */
async function count(arena: Arena, lock: CountPlan['lock']): Promise<CountTotals> {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-distributed-lock-contract-'));
  try {
    const counters = ['a', 'b'].map((key) => ({ name: arena.key(`count-${key}`), file: join(folder, key) }));
    const contenders = await arena.contenders(4);
    const results = await Promise.all(
      contenders.map((contender) =>
        contender.count({ counters, tasks: TASKS, rounds: ROUNDS, pause: 3, lock }),
      ),
    );
    const raised = sum(results.flatMap((result) => result.raised));
    return {
      lost: raised - sum(counters.map(({ file }) => numberIn(file))),
      overlaps: sum(results.map(({ overlaps }) => overlaps)),
      staleTokens: results.flatMap(({ staleTokens }) => staleTokens),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
