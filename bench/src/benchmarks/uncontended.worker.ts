import { setImmediate as turn } from 'node:timers/promises';
import type { Contestant, ContestantOptions } from '../contestants/contestant';
import { openContestant } from '../contestants/index';
import { processorTime } from '../measuring/processor-time';
import { serve } from '../workers/worker';

export interface LoopInput {
  readonly keys: number;
  readonly seconds: number;
}

export interface LoopResult {
  readonly rate: number;
  /** Microseconds of this process's processor time a lock. */
  readonly cost: number;
  readonly overlaps: number;
}

const RIVALS = 4;
const TURNS = 3;

let contestant: Contestant;
/** The contestants' keys may lie side by side in Redis, in whatever form each has. */
let prefix = '';

serve({
  async open({ name, options }: { readonly name: string; readonly options: ContestantOptions }) {
    contestant = await openContestant(name, options);
    prefix = name;
  },
  loop,
  rivalry,
});

/** Takes and gives back each key, over and over, the keys side by side. */
async function loop({ keys, seconds }: LoopInput): Promise<LoopResult> {
  const startedAt = performance.now();
  const until = startedAt + seconds * 1_000;
  const processorBefore = processorTime();
  let count = 0;
  let overlaps = 0;
  const caller = async (key: string): Promise<void> => {
    let inside = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      if (inside > 1) overlaps += 1;
      await Promise.resolve();
      inside -= 1;
    };
    while (performance.now() < until) {
      await contestant.run(key, work);
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: keys }, (_, key) => caller(`${prefix}:uncontended:${key}`)));
  return {
    rate: (count / (performance.now() - startedAt)) * 1_000,
    cost: ((processorTime() - processorBefore) / count) * 1_000,
    overlaps,
  };
}

/** Nobody meets anybody in the loop: a few callers on one key show that this is a lock at all. */
async function rivalry(): Promise<number> {
  let inside = 0;
  let overlaps = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    if (inside > 1) overlaps += 1;
    await turn();
    inside -= 1;
  };
  const caller = async (): Promise<void> => {
    for (let count = 0; count < TURNS; count += 1) await contestant.run(`${prefix}:rivalry`, work);
  };
  await Promise.all(Array.from({ length: RIVALS }, caller));
  return overlaps;
}
