import { moment, type Moment } from './moment';

/** Milliseconds. */
const CHECK = 50;
/** A timer that is later than this many milliseconds was held up by the machine. */
const STALL = 200;

/**
 * Notices when this process stood still.
 *
 * @param onStall - told since when, at its end
 * @returns what ends the watch
 */
export function watchForStalls(onStall: (since: Moment) => void): () => void {
  let last = moment();
  const timer = setInterval(() => {
    const now = moment();
    if (now - last > (CHECK + STALL) * 1_000) onStall(last);
    last = now;
  }, CHECK);
  return () => clearInterval(timer);
}
