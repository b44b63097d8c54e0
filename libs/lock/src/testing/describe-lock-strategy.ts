import { Arena } from './arena.js';
import { CONTRACT_CASES } from './contract-cases.js';
import { SCALE } from './scale.js';
import type { StrategyUnderTest } from './strategy-under-test.js';

/** What tests are registered with; jest and mocha have it as globals, vitest with `globals: true`. */
export interface TestRunner {
  describe(title: string, body: () => void): void;
  it(title: string, body: () => Promise<void>, limit?: number): void;
  afterEach(body: () => Promise<void>, limit?: number): void;
  afterAll(body: () => Promise<void>, limit?: number): void;
}

/** More than any case takes, with our patience at its end: a case fails with what it waited for, not with a time-out. */
const LIMIT_PER_PATIENCE = 10;

/**
 * Registers a test for each promise of the contract that a strategy makes. For strategies of one's own too: a
 * strategy that passes can be given to `LockModule.forRoot`.
 *
 * @example
 * ```ts
 * describeLockStrategy({
 *   name: 'redisLock',
 *   traits: { scope: 'shared', order: 'strict', fencing: true },
 *   create: () => redisLock({ url }),
 *   worker: { file: require.resolve('./redis.worker'), env: () => ({ REDIS_URL: url }) },
 * });
 * ```
 *
 * @param subject - the strategy, and the file that makes it in processes of its own
 * @param runner - where the tests are registered; the globals unless given
 *
 * @publicApi
 */
export function describeLockStrategy(subject: StrategyUnderTest, runner: TestRunner = globalRunner()): void {
  const arena = new Arena(subject);
  const limit = LIMIT_PER_PATIENCE * SCALE * arena.patience;
  runner.describe(`the contract of ${subject.name}`, () => {
    runner.afterEach(() => arena.clear(), limit);
    runner.afterAll(() => arena.close(), limit);
    for (const { title, appliesTo, run } of CONTRACT_CASES) {
      if (appliesTo(subject.traits)) runner.it(title, () => run(arena), limit);
    }
    if (subject.traits.scope === 'shared') {
      runner.it(
        'leaves nothing open in a process, so that this ends, once it is closed',
        () => arena.close(),
        limit,
      );
    }
  });
}

function globalRunner(): TestRunner {
  const globals = globalThis as Partial<TestRunner>;
  const { describe, it, afterEach, afterAll } = globals;
  if (describe === undefined || it === undefined || afterEach === undefined || afterAll === undefined) {
    throw new Error(
      'describeLockStrategy finds no describe, it, afterEach and afterAll: pass them as its second argument.',
    );
  }
  return { describe, it, afterEach, afterAll };
}
