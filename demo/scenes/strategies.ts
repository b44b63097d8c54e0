import type { LockStrategyName } from '../../src/config/environment.js';

/** One line of the demo: a strategy, on so many web servers, and what comes of it. */
export interface WebCase {
  readonly strategy: LockStrategyName;
  readonly servers: number;
  /** `exact`: not one more and not one less than there were. `oversold`: the lesson, or the scene proves nothing. */
  readonly expected: 'exact' | 'oversold';
  /** Whether who comes first is served first. */
  readonly inOrder: boolean;
}

export interface BatchCase {
  readonly strategy: LockStrategyName;
  /** How often two servers run the job for one tick. */
  readonly runsPerTick: 1 | 2;
}

/** The strategies that several servers share: whoever adds one adds it here, and it is in every scene. */
const SHARED_STRATEGIES: readonly LockStrategyName[] = ['redis', 'quorum', 'typeorm'];

export const WEB_CASES: readonly WebCase[] = [
  { strategy: 'none', servers: 2, expected: 'oversold', inOrder: false },
  { strategy: 'memory', servers: 1, expected: 'exact', inOrder: true },
  { strategy: 'memory', servers: 2, expected: 'oversold', inOrder: false },
  ...SHARED_STRATEGIES.map(
    (strategy) => ({ strategy, servers: 2, expected: 'exact', inOrder: strategy !== 'quorum' }) as const,
  ),
];

export const BATCH_CASES: readonly BatchCase[] = [
  { strategy: 'none', runsPerTick: 2 },
  { strategy: 'memory', runsPerTick: 2 },
  ...SHARED_STRATEGIES.map((strategy) => ({ strategy, runsPerTick: 1 }) as const),
];
