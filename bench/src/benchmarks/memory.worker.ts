import { Mutex } from 'async-mutex';
import { memoryLock } from 'nestjs-distributed-lock';
import { processorTime } from '../measuring/processor-time';
import { serve } from '../workers/worker';

export interface MemoryInput {
  readonly callers: number;
  readonly seconds: number;
}

export interface MemoryResult {
  /** Locks a second of this process's processor time. */
  readonly rate: number;
  readonly overlaps: number;
}

type Run = (work: () => Promise<void>) => Promise<void>;

let run: Run;

serve({
  open(name: 'memory' | 'async-mutex') {
    run = name === 'memory' ? ours() : theirs();
    return Promise.resolve();
  },
  /** Callers that take and give back one lock, over and over. */
  async loop({ callers, seconds }: MemoryInput): Promise<MemoryResult> {
    const until = performance.now() + seconds * 1_000;
    const before = processorTime();
    let inside = 0;
    let overlaps = 0;
    let count = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      if (inside > 1) overlaps += 1;
      await Promise.resolve();
      inside -= 1;
      count += 1;
    };
    const caller = async (): Promise<void> => {
      while (performance.now() < until) await run(work);
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return { rate: (count / (processorTime() - before)) * 1_000, overlaps };
  },
});

function ours(): Run {
  const strategy = memoryLock()({
    strategy: 'memory',
    get: () => {
      throw new Error('nothing is injected');
    },
  });
  const request = { name: 'stock:42', waitTime: 60_000, ttl: 10_000, holdAtLeast: 0 };
  return async (work) => {
    const lease = await strategy.acquire(request);
    try {
      await work();
    } finally {
      await lease.release();
    }
  };
}

function theirs(): Run {
  const mutex = new Mutex();
  return async (work) => {
    const release = await mutex.acquire();
    try {
      await work();
    } finally {
      release();
    }
  };
}
