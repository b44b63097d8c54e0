import { setTimeout as pause } from 'node:timers/promises';
import type { SceneEnvironment } from './scene-stores.js';
import { ShopDatabase } from './shop-database.js';
import { startShopServer } from './shop-server.js';

/** How often the shop settles, in milliseconds. */
const TICK = 5_000;

export interface BatchSceneOptions {
  /** How many ticks to watch. */
  readonly ticks: number;
  /** The lock strategy and its address, and an empty database. */
  readonly environment: SceneEnvironment;
  readonly onProgress?: (text: string) => void;
}

export interface BatchSceneResult {
  /** How often the job ran for each of the ticks: once is right. */
  readonly runsPerTick: readonly number[];
}

/** Two batch servers have the same scheduled job, and the clock of the second is two seconds late. */
export async function runBatchScene({
  ticks,
  environment,
  onProgress,
}: BatchSceneOptions): Promise<BatchSceneResult> {
  onProgress?.('starting 2 batch servers');
  const batch: SceneEnvironment = { ...environment, ROLE: 'batch' };
  const servers = await Promise.all([
    startShopServer({ environment: batch }),
    startShopServer({ environment: batch, preload: 'late-clock' }),
  ]);
  const database = await ShopDatabase.connect(environment.POSTGRES_URL);
  try {
    const first = nextTick();
    for (let tick = first; tick < first + ticks; tick += 1) {
      onProgress?.(`waiting for tick ${tick - first + 1} of ${ticks}`);
      await untilBothHadTheirTurn(tick);
    }
    const runs = (await database.settlements()).map(tickOf);
    return {
      runsPerTick: Array.from(
        { length: ticks },
        (_, index) => runs.filter((tick) => tick === first + index).length,
      ),
    };
  } finally {
    await database.close();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** Ticks are counted since 1970; the next one is the first of which both servers see the beginning. */
function nextTick(): number {
  return Math.ceil(Date.now() / TICK);
}

/** The tick that a run belongs to. A late clock starts it late, and no timer is exact. */
function tickOf(startedAt: number): number {
  return Math.floor((startedAt + TICK / 10) / TICK);
}

/** The second server ticks two seconds late, and gets two more to do it. */
async function untilBothHadTheirTurn(tick: number): Promise<void> {
  await pause(Math.max(0, tick * TICK + 4_000 - Date.now()));
}
