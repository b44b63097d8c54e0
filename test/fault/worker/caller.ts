import { setTimeout as pause } from 'node:timers/promises';
import type { LockRequest, LockStrategy, StrategyLease } from 'nestjs-distributed-lock';
import type { HistoryRecorder } from '../history/history-recorder';
import type { Remaining } from '../history/lock-event';
import { moment } from '../history/moment';
import { Random } from '../schedule/random';
import type { Arrivals } from './arrivals';
import type { WorkerPlan, WorkerSubject } from './worker-plan';

/** Longer than the checker's patience: a waiter that only its time-out saves is found. */
const LONG_WAIT = 15_000;

export interface CallerParts {
  readonly plan: WorkerPlan;
  readonly strategy: LockStrategy;
  readonly recorder: HistoryRecorder;
  readonly arrivals: Arrivals;
  readonly work: WorkerSubject['work'];
}

/** Takes locks, holds them for a while and gives them back, over and over, as its seed says. */
export class Caller {
  private calls = 0;
  private stopped = false;

  constructor(private readonly parts: CallerParts) {}

  /** Resolves when it was stopped and every call is over. */
  async work(): Promise<void> {
    const { tasks, seed } = this.parts.plan;
    await Promise.all(
      Array.from({ length: tasks }, async (_, task) => {
        const random = new Random(seed * 1_000 + task);
        while (!this.stopped) await this.turn(random);
      }),
    );
  }

  /** Takes each lock once: whoever comes last must get it too. */
  async probe(): Promise<void> {
    const { keys, lease } = this.parts.plan;
    for (const name of keys) {
      await this.call({ name, ttl: lease, waitTime: LONG_WAIT, holdAtLeast: 0 }, new Random(0), 0);
    }
  }

  stop(): void {
    this.stopped = true;
  }

  private async turn(random: Random): Promise<void> {
    const { keys, lease } = this.parts.plan;
    const name = random.pick(keys);
    const ttl = random.oneIn(4) ? Math.round(lease * 1.5) : lease;
    const waitTime = waitTimeOf(random);
    // Most work is short; some lasts as long as two leases, and so has to be renewed.
    const hold = random.oneIn(80) ? random.between(0, 2 * ttl) : random.between(0, 8);
    await this.call({ name, ttl, waitTime, holdAtLeast: 0 }, random, hold);
    await pause(random.between(0, 25));
  }

  private async call(request: LockRequest, random: Random, hold: number): Promise<void> {
    const { strategy, recorder, arrivals } = this.parts;
    const { name, ttl, waitTime } = request;
    this.calls += 1;
    const call = this.calls;
    recorder.call(call, {
      is: 'invoke',
      key: name,
      waitTime: waitTime === Infinity ? 'for ever' : waitTime,
      ttl,
    });
    const abort = new AbortController();
    const giveUp = random.oneIn(12) ? this.abortLater(call, abort, random.between(1, 80)) : undefined;
    arrivals.begin(name, call);
    const pending = strategy.acquire({ ...request, signal: abort.signal });
    if (waitTime > 0 && random.oneIn(3)) void arrivals.look(name);
    let lease: StrategyLease;
    try {
      lease = await pending;
    } catch (error) {
      recorder.call(call, { is: 'reject', code: codeOf(error) });
      // Whoever can't reach the store doesn't ask again at once.
      await pause(random.between(5, 50));
      return;
    } finally {
      arrivals.end(name, call);
      clearTimeout(giveUp);
    }
    const grantedAt = moment();
    recorder.call(call, { is: 'grant', token: lease.token, remaining: remainingOf(lease) }, grantedAt);
    await this.hold(lease, call, random, hold);
  }

  private async hold(lease: StrategyLease, call: number, random: Random, duration: number): Promise<void> {
    const { recorder, work, plan } = this.parts;
    const onLost = (): void =>
      recorder.call(call, { is: 'lost', reason: String((lease.signal.reason as Error)?.message) });
    if (lease.signal.aborted) onLost();
    else lease.signal.addEventListener('abort', onLost, { once: true });

    for (let left = duration; left > 0 && !lease.signal.aborted; left -= plan.lease / 4) {
      await pause(Math.min(left, plan.lease / 4));
      const at = moment();
      recorder.call(call, { is: 'hold', remaining: remainingOf(lease) }, at);
    }
    if (random.oneIn(20)) await this.extend(lease, call, random.between(100, 2 * plan.lease));
    const done = await attempt(work?.(lease, `${plan.process}.${plan.life}#${call}`));

    const releasedAt = moment();
    recorder.call(call, { is: 'release', remaining: remainingOf(lease) }, releasedAt);
    // Where the lock is a transaction, its end begins with the commit.
    const isCommitted =
      done && lease.transaction !== undefined && (await attempt(lease.transaction.commit()));
    if (isCommitted) recorder.call(call, { is: 'committed' });
    await attempt(lease.release());
    recorder.call(call, { is: 'released' });
  }

  private async extend(lease: StrategyLease, call: number, duration: number): Promise<void> {
    try {
      await lease.extend(duration);
    } catch {
      return; // Lost, or not answered: the claims that follow say which.
    }
    const at = moment();
    this.parts.recorder.call(call, { is: 'extended', duration, remaining: remainingOf(lease) }, at);
  }

  private abortLater(call: number, abort: AbortController, delay: number): NodeJS.Timeout {
    return setTimeout(() => {
      this.parts.recorder.call(call, { is: 'abort' });
      abort.abort(new Error('ABORTED'));
    }, delay);
  }
}

function waitTimeOf(random: Random): number {
  if (random.oneIn(8)) return 0;
  if (random.oneIn(5)) return random.between(5, 200);
  return random.oneIn(10) ? Infinity : LONG_WAIT;
}

/** How long the lease is good for, at the least, from a moment that was read before this was asked. */
function remainingOf({ remaining, signal }: StrategyLease): Remaining {
  if (signal.aborted) return 0;
  return remaining === Infinity ? 'for ever' : Math.max(0, remaining);
}

/** Whether it went well. What went wrong shows in the claims and the data, or was none of the lock's business. */
async function attempt(pending: Promise<void> | undefined): Promise<boolean> {
  try {
    await pending;
    return true;
  } catch {
    return false;
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
