import { sendBuyers } from './buyers.js';
import { startLoadBalancer } from './load-balancer.js';
import { countOutOfOrder } from './order-of-service.js';
import { peakDuring } from './peak.js';
import type { SceneEnvironment } from './scene-stores.js';
import { ShopDatabase } from './shop-database.js';
import { startShopServer } from './shop-server.js';

/** What there is to sell: the shop's own migration puts it there. */
export const ITEMS = 100;
export const BUYERS = 300;

export interface WebSceneOptions {
  /** How many web servers stand behind the load balancer. */
  readonly servers: number;
  /** The lock strategy and its address, and an empty database. */
  readonly environment: SceneEnvironment;
  readonly onProgress?: (text: string) => void;
}

export interface WebSceneResult {
  /** Items that buyers were promised, as the database has them. */
  readonly sold: number;
  readonly refused: number;
  /** What the buyers were told who got neither a yes nor a no: nobody, when all is well. */
  readonly failures: readonly string[];
  /** Items that were promised and do not exist. */
  readonly oversold: number;
  /** What the shop believes that it still has. */
  readonly left: number;
  /** Milliseconds from the first order to the last answer. */
  readonly time: number;
  /** Milliseconds within which half of the buyers were answered, and 99 of 100. */
  readonly p50: number;
  readonly p99: number;
  readonly outOfOrder: number;
  /** The most database connections that were in use at once. */
  readonly connections: number;
}

/** Web servers behind a load balancer sell {@link ITEMS} items to {@link BUYERS} buyers who all come at once. */
export async function runWebScene({
  servers,
  environment,
  onProgress,
}: WebSceneOptions): Promise<WebSceneResult> {
  onProgress?.(servers === 1 ? 'starting a web server' : `starting ${servers} web servers`);
  const shops = await Promise.all(
    Array.from({ length: servers }, () =>
      startShopServer({ environment: { ...environment, ROLE: 'web' }, preload: 'arrival-stamp' }),
    ),
  );
  const balancer = await startLoadBalancer(shops.map(({ url }) => url));
  const database = await ShopDatabase.connect(environment.POSTGRES_URL);
  try {
    return await sell(balancer.url, database, onProgress);
  } finally {
    await balancer.stop();
    await database.close();
    await Promise.all(shops.map((shop) => shop.stop()));
  }
}

async function sell(
  shop: string,
  database: ShopDatabase,
  onProgress: WebSceneOptions['onProgress'],
): Promise<WebSceneResult> {
  let answers = 0;
  const countAnswer = (): void => {
    answers += 1;
    if (answers % 50 === 0) onProgress?.(`${answers} of ${BUYERS} buyers answered`);
  };
  const start = performance.now();
  const { peak, result: purchases } = await peakDuring(
    () => database.connectionsInUse(),
    () => sendBuyers(shop, BUYERS, countAnswer),
  );
  const time = performance.now() - start;
  const sold = await database.itemsSold();
  const durations = purchases.map(({ duration }) => duration).sort((a, b) => a - b);
  return {
    sold,
    refused: purchases.filter(({ outcome }) => outcome === 'refused').length,
    failures: purchases.flatMap(({ failure }) => failure ?? []),
    oversold: Math.max(0, sold - ITEMS),
    left: await database.itemsLeft(),
    time,
    p50: percentile(durations, 0.5),
    p99: percentile(durations, 0.99),
    outOfOrder: countOutOfOrder(purchases),
    connections: peak,
  };
}

/** The nearest rank: the smallest value that at least this share of them does not exceed. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}
