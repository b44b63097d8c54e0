import { Play, type Verdict } from './play.js';
import { type BatchSceneResult, runBatchScene } from './scenes/batch-scene.js';
import { BATCH_CASES, type BatchCase } from './scenes/strategies.js';

const TICKS = 3;

export const batchPlay = new Play<BatchCase, BatchSceneResult>({
  title: `Two batch servers have the same job, and the clock of the second is two seconds late: ${TICKS} ticks`,
  cases: BATCH_CASES,
  concurrent: true,
  nameOf: ({ strategy }) => strategy,
  run: (_, environment, onProgress) => runBatchScene({ ticks: TICKS, environment, onProgress }),
  judge: judgeRuns,
  columns: ['runs a tick'],
  cells: ({ runsPerTick }) => [runsPerTick.join(', ')],
});

function judgeRuns({ runsPerTick }: BatchCase, result: BatchSceneResult): Verdict {
  const right = result.runsPerTick.every((runs) => runs === runsPerTick);
  if (!right) return { right, text: `WRONG: it must be ${runsPerTick} a tick` };
  return { right, text: runsPerTick === 1 ? 'one runs it, the other skips' : 'both run it' };
}
