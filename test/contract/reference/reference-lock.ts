import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import {
  LockBusyError,
  LockLostError,
  LockShutdownError,
  LockStrategy,
  LockUnavailableError,
  type LockInspection,
  type LockRequest,
  type LockStrategyFactory,
  type LockTraits,
  type StrategyLease,
} from 'nestjs-distributed-lock';
import type { Flaw } from './flaw';
import type { StoreReply } from './reference-store';
import { StoreConnection } from './store-connection';

export interface ReferenceLockOptions {
  readonly port: number;
  readonly traits: LockTraits;
}

/** The simplest strategy that keeps the contract, with a {@link ReferenceStore} behind it; or with that store's flaw. */
export function referenceLock(options: ReferenceLockOptions): LockStrategyFactory {
  return ({ strategy }) => new ReferenceStrategy(strategy, options);
}

class ReferenceStrategy extends LockStrategy {
  override traits: LockTraits;
  private readonly store: StoreConnection;
  private readonly shutDown = new AbortController();
  private readonly waits = new Set<Promise<StoreReply>>();
  private readonly held = new Set<ReferenceLease>();
  private everythingReleased: () => void = () => undefined;

  constructor(
    private readonly strategy: string,
    { port, traits }: ReferenceLockOptions,
  ) {
    super();
    this.traits = traits;
    // Every wait listens to it.
    setMaxListeners(0, this.shutDown.signal);
    this.store = new StoreConnection(port);
  }

  override async connect(): Promise<void> {
    const flaw = await this.flaw();
    if (flaw === 'claims an order that it has not') this.traits = { ...this.traits, order: 'none' };
    if (flaw === 'goes on listening to its process') process.on('SIGTERM', () => undefined);
  }

  override async acquire(request: LockRequest): Promise<StrategyLease> {
    const { name, signal, ttl, holdAtLeast } = request;
    const flaw = await this.flaw();
    if (this.shutDown.signal.aborted) throw this.shutDown.signal.reason;
    if (flaw === 'fails on spaces in names' && name.includes(' ')) throw new Error('a space');
    if (flaw === 'fails on long names' && name.length > 1_000) throw new Error('too long');
    const waitTime = flawedWaitTime(request.waitTime, flaw);
    const askedAt = performance.now();
    if (flaw !== 'takes a lock although it was aborted before') signal?.throwIfAborted();
    const acquire = this.store.ask({ do: 'acquire', name, duration: ttl, holdAtLeast, wait: waitTime > 0 });
    const wait = this.wait(request, waitTime, acquire, flaw);
    this.waits.add(wait);
    const reply = await wait.finally(() => this.waits.delete(wait));
    if (!reply.done) throw this.busy(name, performance.now() - askedAt, flaw);
    const left = (reply.ends ?? 0) - Date.now();
    if (left <= 0 && flaw !== 'takes a lease that is over when it reads of it') {
      // Somebody else may have it by now.
      await this.store.ask({ do: 'release', name, token: reply.token }).reply;
      const waited = performance.now() - askedAt;
      return this.acquire({ ...request, waitTime: Math.max(0, request.waitTime - waited) });
    }
    const token = flaw === 'has no token' ? undefined : reply.token;
    const now = performance.now();
    const endsAt = flaw === 'counts the wait into the lease' ? askedAt + ttl : now + left;
    const terms = { name, token: reply.token ?? 0, ttl, endsAt, flaw };
    const lease = new ReferenceLease(this.store, terms, token, () => {
      this.held.delete(lease);
      if (this.held.size === 0) this.everythingReleased();
    });
    this.held.add(lease);
    return lease;
  }

  override async inspect(name: string): Promise<LockInspection> {
    const { done, token, waiters = 0 } = await this.store.ask({ do: 'inspect', name }).reply;
    return { name, held: done, token, waiters: Array.from({ length: waiters }, () => 'waiter') };
  }

  override async forceRelease(name: string): Promise<boolean> {
    return (await this.store.ask({ do: 'forceRelease', name }).reply).done;
  }

  override async drain(): Promise<void> {
    const flaw = await this.flaw();
    const reason = new LockShutdownError('The application is shutting down.', { strategy: this.strategy });
    if (flaw !== 'lets those who wait go on waiting when it shuts down') this.shutDown.abort(reason);
    if (this.shutDown.signal.aborted) await Promise.allSettled(this.waits);
    if (flaw === 'takes the lock from its holder when it shuts down') {
      await Promise.all([...this.held].map((lease) => lease.release()));
    }
    if (this.held.size > 0) await new Promise<void>((resolve) => (this.everythingReleased = resolve));
  }

  override async close(): Promise<void> {
    if ((await this.flaw()) !== 'leaves its connection open') await this.store.close();
  }

  /** The reply, or `done: false` once the wait is over. */
  private async wait(
    { name, signal }: LockRequest,
    waitTime: number,
    { id, reply }: ReturnType<StoreConnection['ask']>,
    flaw: Flaw | undefined,
  ): Promise<StoreReply> {
    if (waitTime <= 0) return reply;
    const over = new AbortController();
    const ends = new Promise<'timed out' | 'aborted' | 'shut down'>((resolve) => {
      if (waitTime !== Infinity) setTimeout(resolve, waitTime, 'timed out').unref();
      const listen = { once: true, signal: over.signal };
      this.shutDown.signal.addEventListener('abort', () => resolve('shut down'), listen);
      if (flaw === 'does not hear an abort') return;
      signal?.addEventListener('abort', () => resolve('aborted'), listen);
    });
    const first = await Promise.race([reply, ends]);
    if (flaw !== 'goes on listening to the signal of its caller') over.abort();
    if (typeof first !== 'string') return first;
    const leaves = `leaves its place in the queue behind when it ${first === 'aborted' ? 'is aborted' : 'gives up'}`;
    if (flaw !== leaves) {
      const { done: cancelled } = await this.store.ask({ do: 'cancel', name, cancelled: id }).reply;
      // The grant was under way.
      if (!cancelled) await this.store.ask({ do: 'release', name, token: (await reply).token }).reply;
    }
    if (flaw === 'frees the lock of its holder when it gives up') {
      await this.store.ask({ do: 'forceRelease', name }).reply;
    }
    if (first === 'shut down') throw this.shutDown.signal.reason;
    if (first === 'aborted' && flaw !== 'takes an abort for a time-out') throw signal?.reason;
    return { id, done: false };
  }

  private async flaw(): Promise<Flaw | undefined> {
    return (await this.store.ask({ do: 'flaw', name: '' }).reply).flaw;
  }

  private busy(name: string, waited: number, flaw: Flaw | undefined): Error {
    const key = flaw === 'does not name the key in its errors' ? undefined : name;
    const context = { key, strategy: this.strategy };
    return flaw === 'says "unavailable" instead of "busy"'
      ? new LockUnavailableError('it is taken', context)
      : new LockBusyError({ ...context, waited });
  }
}

function flawedWaitTime(waitTime: number, flaw: Flaw | undefined): number {
  if (flaw === 'waits for ever' && waitTime > 0) return Infinity;
  if (flaw === 'waits although it should try once' && waitTime === 0) return 700;
  return flaw === 'gives up too early' ? waitTime / 2 : waitTime;
}

interface LeaseTerms {
  readonly name: string;
  readonly token: number;
  readonly ttl: number;
  readonly endsAt: number;
  readonly flaw: Flaw | undefined;
}

/** How late a late extension is, in milliseconds. */
const LATE = 5;

let releases = 0;

class ReferenceLease implements StrategyLease {
  readonly name: string;
  private readonly loss = new AbortController();
  private readonly renewal: NodeJS.Timeout;
  private end: NodeJS.Timeout | undefined;
  private endsAt = 0;
  private isOver = false;

  constructor(
    private readonly store: StoreConnection,
    private readonly terms: LeaseTerms,
    readonly token: number | undefined,
    private readonly onOver: () => void,
  ) {
    const { name, ttl, endsAt, flaw } = terms;
    this.name = name;
    this.lastUntil(endsAt);
    this.renewal = setInterval(() => {
      if (flaw !== 'does not renew') void this.extend(ttl).catch(() => undefined);
    }, ttl / 3).unref();
  }

  get signal(): AbortSignal {
    return this.loss.signal;
  }

  get remaining(): number {
    return this.isOver ? 0 : Math.max(0, this.endsAt - performance.now());
  }

  async extend(duration: number): Promise<void> {
    const { name, token, flaw } = this.terms;
    if (this.isOver && flaw !== 'extends what it has lost') throw this.lostError();
    const sentAt = performance.now();
    const lease = Math.max(duration, this.terms.ttl);
    if (flaw === 'brings a lock back by a late extension') await pause(LATE);
    const { done } = await this.store.ask({ do: 'extend', name, token, duration: lease }).reply;
    if (done) return this.lastUntil(sentAt + lease);
    if (flaw === 'extends what it has lost') return;
    this.lose();
    throw this.lostError();
  }

  async release(): Promise<void> {
    const { name, token, flaw } = this.terms;
    const wasReleased = this.isOver && !this.signal.aborted;
    if (wasReleased && flaw === 'fails on a second release') throw new Error('It was released before.');
    this.stop();
    releases += 1;
    if (flaw === 'forgets every hundredth release' && releases % 100 === 0) return;
    if (flaw === 'aborts its signal when it releases') this.lose();
    const { done } = await this.store.ask({ do: 'release', name, token }).reply;
    if (!done && !wasReleased && flaw === 'fails on a late release')
      throw new Error('It is somebody else’s by now.');
  }

  private lastUntil(end: number): void {
    if (this.isOver) return;
    clearTimeout(this.end);
    this.endsAt = end;
    this.end = setTimeout(() => this.lose(), end - performance.now()).unref();
  }

  private lose(): void {
    this.stop();
    if (this.terms.flaw !== 'never aborts its signal') this.loss.abort(this.lostError());
  }

  private stop(): void {
    this.isOver = true;
    clearInterval(this.renewal);
    clearTimeout(this.end);
    this.onOver();
  }

  private lostError(): Error {
    return new LockLostError('its lease is over', { key: this.name });
  }
}
