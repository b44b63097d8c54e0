import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { Lease } from './lease.js';
import { checkLockOptions } from './lock-call-options.js';
import { LockConfigurationError, LockShutdownError } from './lock-error.js';

/** How a process stands for election. All durations are milliseconds. */
export interface LeadOptions {
  /** The name of a strategy of `forRoot`; a shared one, or every process leads. */
  readonly strategy?: string;
  /**
   * How long a silent leader (dead, frozen, cut off) keeps the others from leading.
   *
   * @defaultValue 10000
   */
  readonly ttl?: number;
  /**
   * How long to wait before standing again after the work failed or the store could not be reached.
   *
   * @defaultValue 1000
   */
  readonly retryDelay?: number;
  /** Ends the leadership, or the standing for it: the work's signal aborts, and `lead` resolves when the work ended. */
  readonly signal?: AbortSignal;
}

/** What {@link lead} asks for: a lease, as soon as this process is the leader. */
export type Campaign = (signal: AbortSignal | undefined) => Promise<Lease>;

/**
 * Stands for election until the work is done or the signal aborts. The work runs in one process at a time; its signal
 * aborts when the leadership is lost, and then another process leads within a `ttl`. Work that rejects, or that ends
 * because its leadership was lost, is followed by the next campaign.
 */
export async function lead(
  name: string,
  work: (signal: AbortSignal, lease: Lease) => Promise<void>,
  campaign: Campaign,
  { retryDelay = 1_000, signal }: LeadOptions,
): Promise<void> {
  const logger = new Logger('DistributedLock');
  while (signal?.aborted !== true) {
    try {
      if (await term(work, await campaign(signal), signal)) return;
    } catch (error) {
      if (signal?.aborted || error instanceof LockShutdownError) return;
      if (error instanceof LockConfigurationError) throw error;
      logger.error(`Leading "${name}" failed; standing again in ${retryDelay} ms.`, error);
    }
    // An abort of the sleep is seen by the loop.
    await sleep(retryDelay, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** @throws {LockConfigurationError} an option is unknown or out of its range. */
export function checkLeadOptions({
  strategy,
  ttl,
  retryDelay = 0,
  signal: _,
  ...unknown
}: LeadOptions): void {
  checkLockOptions({ strategy, ttl, ...unknown }, 'LockService.lead');
  if (Number.isFinite(retryDelay) && retryDelay >= 0) return;
  throw new LockConfigurationError(
    `LockService.lead: retryDelay must be a number of milliseconds from 0, got ${String(retryDelay)}.`,
  );
}

/** One term of office. Resolves to whether the work is done for good. */
async function term(
  work: (signal: AbortSignal, lease: Lease) => Promise<void>,
  lease: Lease,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  await using held = lease;
  const ending = signal === undefined ? held.signal : AbortSignal.any([held.signal, signal]);
  try {
    await held.run(() => work(ending, held));
  } catch (error) {
    // Work that stops because it was told to says so by an error of its own.
    if (!ending.aborted) throw error;
  }
  return !held.isLost;
}
