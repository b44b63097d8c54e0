import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import {
  LockBusyError,
  LockLostError,
  LockShutdownError,
  LockStrategy,
  LockUnavailableError,
  type LockRequest,
  type LockStrategyFactory,
  type LockTraits,
  type StrategyLease,
} from 'nestjs-distributed-lock';

/** A key in Redis with a time to live, asked for again and again: simple, and in no order. */
export function spinLock(url: string): LockStrategyFactory {
  // Called once an application; `strategy` is the name that errors should say.
  return ({ strategy }) => new SpinLockStrategy(strategy, url);
}

export class SpinLockStrategy extends LockStrategy {
  // Claim no more than is so: the contract suite tries it.
  override readonly traits: LockTraits = { scope: 'shared', order: 'none', fencing: false };
  private readonly redis: Redis;
  private readonly held = new Set<SpinLease>();
  private readonly closing = new AbortController();

  constructor(
    private readonly name: string,
    url: string,
  ) {
    super();
    this.redis = new Redis(url, {
      lazyConnect: true,
      // No answer is an answer, too: nobody waits for a Redis that hangs or is away.
      commandTimeout: 1_000,
      maxRetriesPerRequest: 1,
      // SET NX twice, because the first answer was lost, would find the lock taken: by itself.
      autoResendUnfulfilledCommands: false,
    });
    this.redis.on('error', () => undefined); // each command tells its own caller
  }

  override async acquire({ name, waitTime, ttl, holdAtLeast, signal }: LockRequest): Promise<StrategyLease> {
    const began = performance.now();
    const endings = [this.closing.signal, ...(signal === undefined ? [] : [signal])];
    const ending = AbortSignal.any(endings);
    for (;;) {
      if (ending.aborted) throw this.whyItEnded(name, ending);
      const lease = await this.ask(name, ttl, holdAtLeast);
      if (lease !== undefined && !ending.aborted) return lease;
      await lease?.discard();
      const left = waitTime - (performance.now() - began);
      if (left <= 0 && !ending.aborted) {
        throw new LockBusyError({ key: name, strategy: this.name, waited: performance.now() - began });
      }
      // Not all at the same moment. An abort ends the pause, and the loop sees it.
      await pause(Math.min(left, 20 + 20 * Math.random()), undefined, { signal: ending }).catch(
        () => undefined,
      );
    }
  }

  /** Those who wait are sent away, those inside may finish. */
  override async drain(): Promise<void> {
    this.closing.abort();
    const limit = performance.now() + 10_000;
    while (this.held.size > 0 && performance.now() < limit) await pause(20);
  }

  override async close(): Promise<void> {
    await this.drain();
    await Promise.allSettled([...this.held].map((lease) => lease.release()));
    this.redis.disconnect();
  }

  private async ask(name: string, ttl: number, holdAtLeast: number): Promise<SpinLease | undefined> {
    const lease = new SpinLease(this.redis, { name, strategy: this.name, ttl, holdAtLeast }, () =>
      this.held.delete(lease),
    );
    if (!(await lease.take())) return undefined;
    this.held.add(lease);
    return lease;
  }

  private whyItEnded(name: string, { reason }: AbortSignal): unknown {
    if (!this.closing.signal.aborted) return reason;
    return new LockShutdownError(`"${name}" can't be locked: the application is shutting down.`, {
      key: name,
    });
  }
}

interface SpinTerms {
  readonly name: string;
  readonly strategy: string;
  readonly ttl: number;
  readonly holdAtLeast: number;
}

/** Only for whoever still has it: somebody else's lock is never touched. */
const RELEASE = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) <= 0 then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], 'held over', 'PX', ARGV[2]) return 1`;

/** Never shortens. */
const EXTEND = `if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 1`;

class SpinLease implements StrategyLease {
  readonly token = undefined; // one Redis that may forget everything can't promise that it rises
  private readonly owner = randomUUID();
  private readonly loss = new AbortController();
  private readonly key: string;
  private earliestEnd = 0;
  private endsAt = 0;
  private renewal: NodeJS.Timeout | undefined;
  private end: NodeJS.Timeout | undefined;
  private released = false;

  constructor(
    private readonly redis: Redis,
    private readonly terms: SpinTerms,
    private readonly onOver: () => void,
  ) {
    this.key = `spin:${terms.name}`;
  }

  get name(): string {
    return this.terms.name;
  }

  get signal(): AbortSignal {
    return this.loss.signal;
  }

  get isLost(): boolean {
    // Timers are late in a process that was frozen; the clock is not.
    if (!this.released && performance.now() >= this.endsAt) this.lose('it was not renewed in time');
    return this.loss.signal.aborted;
  }

  get remaining(): number {
    return this.released || this.isLost ? 0 : this.endsAt - performance.now();
  }

  async take(): Promise<boolean> {
    const { ttl, holdAtLeast } = this.terms;
    const askedAt = performance.now();
    const life = storeLife(Math.max(ttl, holdAtLeast));
    const answer = await this.command(() => this.redis.set(this.key, this.owner, 'PX', life, 'NX')).catch(
      async (error: unknown) => {
        // It may have reached Redis all the same: else it would stay there for its ttl.
        await this.discard().catch(() => undefined);
        throw error;
      },
    );
    if (answer === null) return false;
    this.earliestEnd = askedAt + holdAtLeast;
    this.holdUntil(askedAt + ttl);
    this.renewLater(ttl / 3);
    return true;
  }

  async extend(duration: number): Promise<void> {
    if (this.isLost) throw this.signal.reason;
    const askedAt = performance.now();
    const args = [this.owner, storeLife(duration)];
    const still = await this.command(() => this.redis.eval(EXTEND, 1, this.key, ...args));
    if (this.released) return; // a release on the way is no loss
    if (still !== 1) this.lose('somebody else has it, or Redis has forgotten it');
    if (this.isLost) throw this.signal.reason;
    this.holdUntil(askedAt + duration);
  }

  async release(): Promise<void> {
    if (this.released) return;
    const late = this.isLost;
    this.stop();
    if (!late) await this.giveUp(Math.ceil(this.earliestEnd - performance.now()));
  }

  /** A lock that nobody wants any more, whatever its `holdAtLeast`. */
  async discard(): Promise<void> {
    this.stop();
    await this.giveUp(0);
  }

  private async giveUp(holdFor: number): Promise<void> {
    await this.command(() => this.redis.eval(RELEASE, 1, this.key, this.owner, holdFor));
  }

  /** Counted from before the question: the store's own count begins later. */
  private holdUntil(moment: number): void {
    if (this.released || moment <= this.endsAt) return;
    this.endsAt = moment;
    clearTimeout(this.end);
    this.end = setTimeout(() => this.isLost, moment - performance.now() + 1).unref();
  }

  private renewLater(delay: number): void {
    this.renewal = setTimeout(() => void this.renew(), delay).unref();
  }

  private async renew(): Promise<void> {
    // A failed attempt is no loss: there is time for another before the lease ends.
    await this.extend(this.terms.ttl).catch(() => undefined);
    if (!this.released && !this.isLost) this.renewLater(this.terms.ttl / 3);
  }

  private lose(why: string): void {
    const { name, strategy } = this.terms;
    this.loss.abort(new LockLostError(why, { key: name, strategy }));
    clearTimeout(this.renewal);
    this.onOver();
  }

  private stop(): void {
    this.released = true;
    clearTimeout(this.renewal);
    clearTimeout(this.end);
    this.onOver();
  }

  private async command<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (cause) {
      const { name, strategy } = this.terms;
      throw new LockUnavailableError(`Redis gave no answer (${String(cause)}).`, {
        key: name,
        strategy,
        cause,
      });
    }
  }
}

/** A little longer in the store than its holder believes: clocks do not run equally fast. */
function storeLife(duration: number): number {
  return Math.ceil(duration * 1.02) + 2;
}
