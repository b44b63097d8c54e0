import { type BatchSceneResult, runBatchScene } from '../../demo/scenes/batch-scene';
import { SceneStores } from '../../demo/scenes/scene-stores';
import { BATCH_CASES, type BatchCase } from '../../demo/scenes/strategies';

jest.setTimeout(120_000);

const TICKS = 3;

describe("two batch servers have the same job, and the second one's clock is two seconds late", () => {
  const stores = new SceneStores();
  const results = new Map<BatchCase, Promise<BatchSceneResult>>();

  // All at once, for each of them takes as long as its ticks.
  beforeAll(async () => {
    await stores.startPostgres();
    await stores.startRedis(console.log);
    for (const batchCase of BATCH_CASES) results.set(batchCase, play(batchCase));
    await Promise.allSettled(results.values());
  });

  afterAll(() => stores.stop());

  it.each(BATCH_CASES.filter(({ runsPerTick }) => runsPerTick === 1))(
    'runs the job once a tick: $strategy',
    async (batchCase) => {
      await expect(results.get(batchCase)).resolves.toEqual({ runsPerTick: [1, 1, 1] });
    },
  );

  it.each(BATCH_CASES.filter(({ runsPerTick }) => runsPerTick === 2))(
    'runs the job on both servers, or the others prove nothing: $strategy',
    async (batchCase) => {
      await expect(results.get(batchCase)).resolves.toEqual({ runsPerTick: [2, 2, 2] });
    },
  );

  async function play({ strategy }: BatchCase): Promise<BatchSceneResult> {
    const missing = stores.missingFor(strategy);
    if (missing !== undefined) throw new Error(missing);
    return runBatchScene({ ticks: TICKS, environment: await stores.environmentFor(strategy) });
  }
});
