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
  /** Milliseconds of the machine's monotonic clock at which nobody asks any more. */
  readonly until: number;
  /** How long those who still wait then may take to get in, in milliseconds. */
  readonly drain: number;
}

let contestant: Contestant;

serve({
  async open({ name, options }: { readonly name: string; readonly options: ContestantOptions }) {
    contestant = await openContestant(name, options);
  },
  queue,
});

/** Callers that ask for one lock again as soon as they have given it back. */
async function queue({ key, callers, inside, until, drain }: QueueInput): Promise<Turns> {
  const log = new TurnLog();
  const caller = async (): Promise<void> => {
    while (now() < until) {
      const index = log.asks();
      await contestant.run(key, async () => {
        log.enters(index);
        // At least a turn of the microtasks, or two in one process could never be seen inside together.
        if (inside > 0) await sleep(inside);
        else await Promise.resolve();
        log.leaves(index);
      });
    }
  };
  const all: Promise<void>[] = [];
  for (let count = 0; count < callers; count += 1) {
    all.push(caller());
    // One by one, so that the callers of all processes stand mixed in the queue.
    await turn();
  }
  const finished = Promise.all(all);
  finished.catch(() => undefined);
  const drained = sleep(Math.max(0, until - now()) + drain, undefined, { ref: false });
  await Promise.race([finished, drained]);
  return log.result();
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
