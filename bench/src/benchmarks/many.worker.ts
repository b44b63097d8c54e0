import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant, ContestantOptions } from '../contestants/contestant';
import { openContestant } from '../contestants/index';
import { serve } from '../workers/worker';

export interface Grown {
  /** Bytes of the heap and beside it that each of them takes. */
  readonly bytes: number;
}

export interface Spent {
  /** The share of one core. */
  readonly core: number;
}

let contestant: Contestant;

serve({
  async open({ name, options }: { readonly name: string; readonly options: ContestantOptions }) {
    contestant = await openContestant(name, options);
  },
  /** Takes so many locks and keeps them. */
  async hold(count: number): Promise<Grown> {
    const before = await occupied();
    let lastError: unknown;
    // In parts: ten thousand commands at once would measure buffers.
    for (let from = 0; from < count; from += 500) {
      const part = Array.from({ length: Math.min(500, count - from) }, (_, at) => `many:${from + at}`);
      await Promise.race([
        Promise.all(part.map((key) => keep(key))),
        new Promise((_, reject) => setTimeout(() => reject(new Error('no lock for 20 s')), 20_000).unref()),
      ]).catch((error: unknown) => (lastError = error));
    }
    if (lastError !== undefined) throw lastError;
    return { bytes: ((await occupied()) - before) / count };
  },
  /** Lets so many callers wait for one lock that somebody else holds. */
  async wait(count: number): Promise<Grown> {
    const before = await occupied();
    for (let from = 0; from < count; from += 1) {
      contestant.run('many:0', () => Promise.resolve()).catch(() => undefined);
      if (from % 500 === 0) await sleep(5);
    }
    await sleep(1_000);
    return { bytes: ((await occupied()) - before) / count };
  },
  /** What the process uses while it does nothing but keep its locks. */
  async spend(seconds: number): Promise<Spent> {
    const before = process.cpuUsage();
    const startedAt = performance.now();
    await sleep(seconds * 1_000);
    const { user, system } = process.cpuUsage(before);
    return { core: (user + system) / 1_000 / (performance.now() - startedAt) };
  },
  /** How many of a sample somebody else gets: none, as long as they are held. */
  async steal(names: readonly string[]): Promise<number> {
    let stolen = 0;
    for (const name of names)
      void contestant.run(name, () => Promise.resolve(void (stolen += 1))).catch(() => {});
    await sleep(1_000);
    return stolen;
  },
});

/** Resolves when the lock is held. */
function keep(key: string): Promise<void> {
  return new Promise((resolve, reject) => {
    contestant
      .run(key, () => {
        resolve();
        return new Promise<void>(() => {});
      })
      .catch(reject);
  });
}

async function occupied(): Promise<number> {
  for (let count = 0; count < 3; count += 1) {
    globalThis.gc?.();
    await sleep(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
