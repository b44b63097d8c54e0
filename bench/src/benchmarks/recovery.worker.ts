import type { Contestant, ContestantOptions } from '../contestants/contestant';
import { openContestant } from '../contestants/index';
import { serve } from '../workers/worker';

let contestant: Contestant;
let leave: () => void = () => undefined;
let inside: Promise<number>;

// A peer that throws where nobody can catch it must not hide what becomes of its lock.
process.on('unhandledRejection', () => undefined);
process.on('uncaughtException', () => undefined);

serve({
  async open({ name, options }: { readonly name: string; readonly options: ContestantOptions }) {
    contestant = await openContestant(name, options);
  },
  /** Takes the lock and keeps it until `leave`. Returns when it is held. */
  async hold(key: string): Promise<void> {
    await ask(key);
    await inside;
  },
  /** Asks for the lock and returns at once. */
  ask,
  /** When the lock was got: milliseconds of the machine's monotonic clock. */
  entered: () => inside,
  leave() {
    leave();
    return Promise.resolve();
  },
});

async function ask(key: string): Promise<void> {
  const left = new Promise<void>((resolve) => (leave = resolve));
  inside = new Promise((resolve, reject) => {
    contestant
      .run(key, () => {
        resolve(now());
        return left;
      })
      .catch(reject);
  });
  inside.catch(() => undefined);
  // What is sent in this turn of the event loop is with the kernel in the next one.
  await new Promise((resolve) => setImmediate(resolve));
}

function now(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
