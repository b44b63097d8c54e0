import { closeSync, openSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import type { LockStrategy, StrategyLease } from '../../locking/lock-strategy.js';
import { pause } from '../patience.js';
import type { CountPlan, CountResult } from './contender-command.js';

/**
 * Raises counters in files: reads, pauses, writes. Two who do so at once lose an update; and beside that each leaves a
 * sign while it is inside, so that an overlap shows even when it happened to do no harm.
 */
export async function countTogether(strategy: LockStrategy, plan: CountPlan): Promise<CountResult> {
  const result: WorkingResult = {
    raised: plan.counters.map(() => 0),
    overlaps: 0,
    staleTokens: [],
  };
  await Promise.all(Array.from({ length: plan.tasks }, () => countAlone(strategy, plan, result)));
  return result;
}

interface WorkingResult {
  readonly raised: number[];
  overlaps: number;
  readonly staleTokens: { token: number; seen: number }[];
}

async function countAlone(strategy: LockStrategy, plan: CountPlan, result: WorkingResult): Promise<void> {
  for (let round = 0; round < plan.rounds; round += 1) {
    const chosen = Math.floor(Math.random() * plan.counters.length);
    const { name, file } = plan.counters[chosen] ?? { name: '', file: '' };
    const lease = plan.lock && (await strategy.acquire({ name, holdAtLeast: 0, ...plan.lock }));
    try {
      await raise(file, plan.pause, lease, result);
      result.raised[chosen] = (result.raised[chosen] ?? 0) + 1;
    } finally {
      await lease?.release();
    }
  }
}

async function raise(
  file: string,
  longestPause: number,
  lease: StrategyLease | undefined,
  result: WorkingResult,
): Promise<void> {
  const alone = enter(`${file}.inside`);
  if (!alone) result.overlaps += 1;
  if (lease?.token !== undefined) {
    const seen = numberIn(`${file}.token`);
    if (lease.token <= seen) result.staleTokens.push({ token: lease.token, seen });
    writeFileSync(`${file}.token`, String(lease.token));
  }
  const count = numberIn(file);
  await pause(Math.random() * longestPause);
  writeFileSync(file, String(count + 1));
  if (alone) unlinkSync(`${file}.inside`);
}

/** Whether nobody else is inside. */
function enter(sign: string): boolean {
  try {
    closeSync(openSync(sign, 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** What the file says; 0 while it does not exist or, without a lock, is being written. */
export function numberIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
