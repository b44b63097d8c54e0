import { promise } from './contract-violation.js';

/** A busy machine may be late now and then; who is late each time is slow. */
const TRIES = 3;

/** Runs the work until it takes between `earliest` and `latest` milliseconds; never less than `earliest`. */
export async function inTime(
  { earliest, latest }: { readonly earliest: number; readonly latest: number },
  work: () => Promise<void>,
): Promise<void> {
  const taken: number[] = [];
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const startedAt = performance.now();
    await work();
    const duration = performance.now() - startedAt;
    taken.push(Math.round(duration));
    // Timers of Node may fire up to a millisecond early.
    promise(`it takes at least ${earliest} ms`, duration >= earliest - 2, { taken });
    if (duration <= latest) return;
  }
  promise(`it takes at most ${latest} ms`, false, { taken });
}
