import { Logger } from '@nestjs/common';

/**
 * Warns in development when two resources are taken in both orders, one inside of the other: two callers that do so at
 * the same moment wait for each other until one gives up. Once for each pair of resources.
 */
export class LockOrderCheck {
  private readonly logger = new Logger('DistributedLock');
  private readonly seen = new Map<string, string>();
  private readonly warned = new Set<string>();

  /** Notes that `inner` is asked for while `outer` is held. Resources are templates or first segments, never ids. */
  note(outer: string, inner: string, label: string): void {
    if (outer === inner) return;
    const order = JSON.stringify([outer, inner]);
    const opposite = JSON.stringify([inner, outer]);
    if (!this.seen.has(order)) this.seen.set(order, here(label));
    const other = this.seen.get(opposite);
    const pair = outer < inner ? order : opposite;
    if (other === undefined || this.warned.has(pair)) return;
    this.warned.add(pair);
    this.logger.warn(
      `"${outer}" and "${inner}" are locked in both orders, so two callers can wait for each other until one of them ` +
        'gives up. Lock both in one call, as an array of keys, or always in the same order.\n' +
        `"${inner}" inside of "${outer}": ${this.seen.get(order)}\n"${outer}" inside of "${inner}": ${other}`,
    );
  }
}

/** Enough to see who called, below a dozen frames of ours for each lock. */
const FRAMES = 60;

/** The caller's own lines of the stack, without those of this library. */
function here(label: string): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  const [, ours = '', ...frames] = (new Error(label).stack ?? '').split('\n');
  Error.stackTraceLimit = limit;
  // Where this very file lies; a bundle has one file for everything, and then all frames are shown.
  const folder = /([^\s()]*[/\\])locking[/\\]lock-order\.[jt]s/.exec(ours)?.[1];
  const theirs = folder === undefined ? frames : frames.filter((frame) => !frame.includes(folder));
  return [label, ...theirs].join('\n');
}
