import { setTimeout as pause } from 'node:timers/promises';

/** Asks for a number again and again until the work is done, and gives the largest with the work's result. */
export async function peakDuring<T>(
  measure: () => Promise<number>,
  work: () => Promise<T>,
): Promise<{ readonly peak: number; readonly result: T }> {
  let done = false;
  let peak = 0;
  const watch = async (): Promise<void> => {
    while (!done) {
      peak = Math.max(peak, await measure());
      await pause(INTERVAL);
    }
  };
  const watching = watch();
  try {
    const result = await work();
    return { peak, result };
  } finally {
    done = true;
    await watching;
  }
}

/** Milliseconds: short beside a sale, and rare enough not to slow it down. */
const INTERVAL = 10;
