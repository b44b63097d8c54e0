import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LockStrategy } from 'nestjs-distributed-lock';
import { CreateDistributedLock1767225600000, typeormLock } from 'nestjs-distributed-lock/typeorm';
import { DataSource, EntitySchema } from 'typeorm';
import { quantile } from '../measuring/statistics';
import { serve } from '../workers/worker';

/** How the row is protected. */
export type Way = 'typeorm' | 'typeorm, mapped row' | 'by hand';

export interface OpenInput {
  readonly url: string;
  readonly way: Way;
  readonly poolSize: number;
  /** Whether this one makes the tables. */
  readonly prepare: boolean;
}

export interface LoopInput {
  readonly callers: number;
  readonly keys: number;
  /** Whether the row is read and written inside, or nothing is done. */
  readonly work: 'none' | 'sell';
  readonly seconds: number;
}

export interface LoopResult {
  readonly rate: number;
  readonly overlaps: number;
  /** Sales whose write another one has overwritten. */
  readonly lost: number;
}

export interface StormInput {
  readonly callers: number;
  /** Milliseconds that each is inside, waiting for something else. */
  readonly inside: number;
  readonly seconds: number;
}

export interface StormResult {
  /** Milliseconds that the unrelated query took. */
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  readonly queries: number;
  readonly lockRate: number;
  /** The share of the time for which the garbage collector stopped the process. */
  readonly collected: number;
  readonly overlaps: number;
}

interface Stock {
  readonly id: number;
  readonly quantity: number;
}

/** The row, for who holds its lock. */
interface Row {
  readonly id: number;
  read(): Promise<Stock>;
  write(quantity: number): Promise<unknown>;
}

const ROWS = 64;
const FULL = 1_000_000_000;
const UNRELATED_EVERY = 10;
const StockEntity = new EntitySchema<Stock>({
  name: 'Stock',
  tableName: 'stock',
  columns: { id: { type: 'int', primary: true }, quantity: { type: 'int' } },
});

let dataSource: DataSource;
let locked: (id: number, work: (row: Row) => Promise<void>) => Promise<void>;

serve({ open, loop, storm });

async function open({ url, way, poolSize, prepare }: OpenInput): Promise<void> {
  dataSource = await new DataSource({
    type: url.startsWith('postgres') ? ('postgres' as const) : ('mariadb' as const),
    url,
    entities: [StockEntity],
    migrations: [CreateDistributedLock1767225600000],
    poolSize,
  }).initialize();
  if (prepare) {
    await dataSource.runMigrations();
    await dataSource.synchronize();
    await dataSource
      .getRepository(StockEntity)
      .insert(Array.from({ length: ROWS }, (_, id) => ({ id: id + 1, quantity: FULL })));
  }
  if (way === 'by hand') return byHand();
  await byStrategy(way);
}

/** What people write without the library. */
function byHand(): void {
  locked = (id, work) =>
    dataSource.transaction(async (manager) => {
      const stock = await manager.findOneOrFail(StockEntity, {
        where: { id },
        lock: { mode: 'pessimistic_write' },
      });
      await work({
        id,
        // The locking query has read it.
        read: () => Promise.resolve(stock),
        write: (quantity) => manager.update(StockEntity, { id }, { quantity }),
      });
    });
}

async function byStrategy(way: Way): Promise<void> {
  const strategy: LockStrategy = typeormLock(way === 'typeorm' ? {} : { resources: { stock: StockEntity } })({
    strategy: 'typeorm',
    get: <T>() => dataSource as T,
  });
  await strategy.connect?.();
  const stocks = dataSource.getRepository(StockEntity);
  locked = async (id, work) => {
    const lease = await strategy.acquire({
      name: `stock:${id}`,
      waitTime: 60_000,
      ttl: 10_000,
      holdAtLeast: 0,
    });
    const row: Row = {
      id,
      read: () => stocks.findOneByOrFail({ id }),
      write: (quantity) => stocks.update({ id }, { quantity }),
    };
    try {
      await lease.transaction?.run(() => work(row));
      await lease.transaction?.commit();
    } finally {
      await lease.release();
    }
  };
}

/** Callers that lock their key, over and over. */
async function loop({ callers, keys, work, seconds }: LoopInput): Promise<LoopResult> {
  const stocks = dataSource.getRepository(StockEntity);
  await dataSource.query(`UPDATE stock SET quantity = ${FULL}`);
  const { count, overlaps, elapsed } = await run(
    { callers, keys, seconds },
    work === 'none' ? () => Promise.resolve() : sell,
  );
  const sold = (await stocks.find()).reduce((sum, { quantity }) => sum + FULL - quantity, 0);
  return { rate: (count / elapsed) * 1_000, overlaps, lost: work === 'none' ? 0 : count - sold };
}

/** Reads, checks, writes: only the lock keeps two sales apart. */
async function sell(row: Row): Promise<void> {
  const { quantity } = await row.read();
  if (quantity < 1) throw new Error('sold out');
  await row.write(quantity - 1);
}

/** An unrelated query each 10 ms, while so many callers want one row. */
async function storm({ callers, inside, seconds }: StormInput): Promise<StormResult> {
  let collecting = 0;
  const collections = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collecting += duration;
  });
  collections.observe({ entryTypes: ['gc'] });
  const times: number[] = [];
  const beganAt = performance.now();
  const until = beganAt + seconds * 1_000;
  const unrelated = async (): Promise<void> => {
    const startedAt = performance.now();
    await dataSource.query('SELECT 1');
    times.push(performance.now() - startedAt);
  };
  const asking = (async () => {
    const asked: Promise<void>[] = [];
    while (performance.now() < until) {
      asked.push(unrelated());
      await sleep(UNRELATED_EVERY);
    }
    await Promise.all(asked);
  })();
  const work = inside === 0 ? () => Promise.resolve() : () => sleep(inside);
  const { count, overlaps, elapsed } = await run({ callers, keys: 1, seconds }, work);
  await asking;
  collections.disconnect();
  return {
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    worst: Math.max(...times),
    queries: times.length,
    lockRate: (count / elapsed) * 1_000,
    collected: collecting / (performance.now() - beganAt),
    overlaps,
  };
}

async function run(
  { callers, keys, seconds }: Pick<LoopInput, 'callers' | 'keys' | 'seconds'>,
  work: (row: Row) => Promise<void>,
): Promise<{ readonly count: number; readonly overlaps: number; readonly elapsed: number }> {
  const inside = new Map<number, number>();
  let count = 0;
  let overlaps = 0;
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  const guarded = async (row: Row): Promise<void> => {
    const { id } = row;
    const others = inside.get(id) ?? 0;
    if (others > 0) overlaps += 1;
    inside.set(id, others + 1);
    await Promise.resolve();
    await work(row);
    inside.set(id, (inside.get(id) ?? 1) - 1);
  };
  const caller = async (index: number): Promise<void> => {
    while (performance.now() < until) {
      await locked((index % keys) + 1, guarded);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)));
  return { count, overlaps, elapsed: performance.now() - startedAt };
}
