import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { Contestant, ContestantOptions } from '../contestants/contestant';
import { openContestant } from '../contestants/index';
import type { Turns } from '../measuring/turns';
import { serve } from '../workers/worker';

export interface QueueInput {
  readonly key: string;
  readonly callers: number;
  /** Milliseconds that each caller stays inside. */
  readonly inside: number;
}

export interface EndInput {
  /** Milliseconds of the machine's monotonic clock at which nobody asks any more. */
  readonly until: number;
  /** How long those who still wait then may take to get in, in milliseconds. */
  readonly drain: number;
}

let contestant: Contestant;
let log: TurnLog;
let finished: Promise<unknown>;
let isOver = false;

serve({
  async open({ name, options }: { readonly name: string; readonly options: ContestantOptions }) {
    contestant = await openContestant(name, options);
  },
  begin,
  end,
});

/** Lets callers ask for one lock, and again as soon as they have given it back. Resolves when all of them have asked. */
async function begin(input: QueueInput): Promise<void> {
  log = new TurnLog();
  isOver = false;
  const all: Promise<void>[] = [];
  for (let count = 0; count < input.callers; count += 1) {
    all.push(call(input, log));
    // One by one, so that the callers of all processes stand mixed in the queue.
    await turn();
  }
  finished = Promise.all(all);
  finished.catch(() => undefined);
}

async function end({ until, drain }: EndInput): Promise<Turns> {
  await sleep(Math.max(0, until - now()));
  isOver = true;
  await Promise.race([finished, sleep(drain, undefined, { ref: false })]);
  return log.result();
}

async function call({ key, inside }: QueueInput, turns: TurnLog): Promise<void> {
  while (!isOver) {
    const index = turns.asks();
    await contestant.run(key, async () => {
      turns.enters(index);
      // At least a turn of the microtasks, or two in one process could never be seen inside together.
      if (inside > 0) await sleep(inside);
      else await Promise.resolve();
      turns.leaves(index);
    });
  }
}

class TurnLog {
  private readonly asked: number[] = [];
  private readonly sent: number[] = [];
  private readonly entered: number[] = [];
  private readonly left: number[] = [];
  private unsentFrom: number | undefined;

  asks(): number {
    const index = this.asked.push(now()) - 1;
    if (this.unsentFrom === undefined) {
      this.unsentFrom = index;
      // By then what was written in this turn of the event loop is with the kernel.
      setImmediate(() => this.sends());
    }
    return index;
  }

  enters(index: number): void {
    this.entered[index] = now();
  }

  leaves(index: number): void {
    this.left[index] = now();
  }

  result(): Turns {
    const served: number[] = [];
    const unserved: number[] = [];
    for (const [index, at] of this.asked.entries()) {
      if (this.left[index] === undefined) unserved.push(at);
      else served.push(index);
    }
    const pick = (values: readonly number[]): Float64Array =>
      Float64Array.from(served, (index) => values[index] ?? Infinity);
    return {
      asked: pick(this.asked),
      sent: pick(this.sent),
      entered: pick(this.entered),
      left: pick(this.left),
      unserved: Float64Array.from(unserved),
    };
  }

  private sends(): void {
    const at = now();
    for (let index = this.unsentFrom ?? 0; index < this.asked.length; index += 1) this.sent[index] = at;
    this.unsentFrom = undefined;
  }
}

/** The machine's monotonic clock, which all its processes share, in milliseconds. */
function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
