import { Logger } from '@nestjs/common';
import type { LockEvent } from './lock-events.js';
import type { LockStrategy } from './lock-strategy.js';

/** Shorter waits are nobody's trouble, and not worth a timer. */
const WORTH_WATCHING = 1_000;

/** One key that everybody waits for must not fill the log: a warning for a method comes once in this many milliseconds. */
const QUIET_TIME = 10_000;

/** How exactly half the wait time is met, in milliseconds. */
const LOOK_INTERVAL = 100;

/** Warns when a call has waited half its `waitTime`, with what a person needs to act on it. */
export class SlowWaits {
  private readonly logger = new Logger('DistributedLock');
  private readonly waits = new Set<Wait>();
  private readonly quietUntil = new Map<string, number>();
  /** One timer for all waits: a timer for each would cost every call more than the rest of this. */
  private timer: NodeJS.Timeout | undefined;

  /** Watches one wait until {@link ended}; undefined where there is nothing to watch. */
  began(strategy: LockStrategy, event: LockEvent, waitTime: number): Wait | undefined {
    if (waitTime < WORTH_WATCHING || waitTime === Infinity) return undefined;
    const wait = { strategy, event, startedAt: performance.now(), half: waitTime / 2 };
    this.waits.add(wait);
    this.timer ??= setInterval(() => this.look(), LOOK_INTERVAL).unref();
    return wait;
  }

  ended(wait: Wait): void {
    this.waits.delete(wait);
  }

  private look(): void {
    if (this.waits.size === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    const now = performance.now();
    for (const wait of this.waits) {
      if (now - wait.startedAt < wait.half) continue;
      this.waits.delete(wait);
      void this.warn(wait.strategy, wait.event, now - wait.startedAt);
    }
  }

  private async warn(
    strategy: LockStrategy,
    { label, key, template }: LockEvent,
    waited: number,
  ): Promise<void> {
    const now = performance.now();
    if (now < (this.quietUntil.get(label) ?? 0)) return;
    this.quietUntil.set(label, now + QUIET_TIME);
    const facts = await whoAndHowMany(strategy, key);
    // The template where there is one: keys can hold what does not belong into a log.
    this.logger.warn(
      `${label} has waited ${(waited / 1_000).toFixed(1)} s for ${template ?? key}${facts}. ` +
        'If that is usual, make the work shorter, lock less, or lower waitTime to turn callers away sooner.',
    );
  }
}

/** One call that waits. */
export interface Wait {
  readonly strategy: LockStrategy;
  readonly event: LockEvent;
  readonly startedAt: number;
  readonly half: number;
}

async function whoAndHowMany(strategy: LockStrategy, key: string): Promise<string> {
  try {
    const state = await strategy.inspect?.(key);
    if (state === undefined) return '';
    const holder = state.holder === undefined ? '' : `, held by ${state.holder}${heldFor(state.since)}`;
    return `, ${state.waiters.length} in the queue${holder}`;
  } catch {
    // Only a warning is at stake; the call itself will say what is wrong with the store.
    return '';
  }
}

/** Between the store's clock and ours: near enough for a person. */
function heldFor(since: Date | undefined): string {
  return since === undefined
    ? ''
    : ` for ${(Math.max(0, Date.now() - since.getTime()) / 1_000).toFixed(1)} s`;
}
