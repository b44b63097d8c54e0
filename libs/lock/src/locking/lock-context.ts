import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import type { Lease } from './lease.js';
import type { LeasePart } from './lease-part.js';
import type { LockStrategy } from './lock-strategy.js';
import type { TransactionScope } from './transaction-scope.js';

/** What an async context is inside of: a chain from the innermost lock, transaction or request outwards. */
interface LockFrame {
  readonly outer: LockFrame | undefined;
  readonly lease?: Lease;
  readonly scope?: TransactionScope;
  /** Ends the waiting of every lock that is asked for inside. */
  readonly waitSignal?: AbortSignal;
}

const frames = new AsyncLocalStorage<LockFrame>();

/** Runs work inside of a lease and, where it has one, the scope of its transaction. */
export function insideLease<T>(
  { lease, scope }: { readonly lease: Lease; readonly scope: TransactionScope | undefined },
  work: () => Promise<T>,
): Promise<T> {
  return frames.run({ outer: frames.getStore(), lease, scope }, work);
}

/** Runs work inside of a transaction that is not itself a lock. */
export function insideScope<T>(scope: TransactionScope, work: () => Promise<T>): Promise<T> {
  return frames.run({ outer: frames.getStore(), scope }, work);
}

/**
 * Runs work in which every wait for a lock ends when the signal aborts: with the signal's reason, and without touching
 * the locks that are held. The interceptor gives it the signal of a client that hung up.
 *
 * @publicApi
 */
export function withWaitSignal<T>(waitSignal: AbortSignal, work: () => T): T {
  // Any number of locks may wait for one request; Node would take more than ten listeners for a leak, and warn.
  setMaxListeners(0, waitSignal);
  return frames.run({ outer: frames.getStore(), waitSignal }, work);
}

/**
 * The lease of this async context that holds the name with this strategy. A call that was left behind without `await`
 * and outlived its lock is not inside of it any more.
 */
export function heldPart(strategy: LockStrategy, name: string): LeasePart | undefined {
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    const part = frame.lease?.lend(strategy, name);
    if (part !== undefined) return part;
  }
  return undefined;
}

/** The names of the locks that this async context holds. */
export function heldNames(): readonly string[] {
  const names: string[] = [];
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.lease !== undefined && !frame.lease.isReleased) names.push(...frame.lease.keys);
  }
  return names;
}

/** The transaction of ours that this async context's queries join: the innermost one that is open. */
export function openScope(): TransactionScope | undefined {
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.scope?.isOpen) return frame.scope;
  }
  return undefined;
}

/** The signals that end waiting in this async context. */
export function waitSignals(): readonly AbortSignal[] {
  const signals: AbortSignal[] = [];
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.waitSignal !== undefined) signals.push(frame.waitSignal);
  }
  return signals;
}

/**
 * The lease that the running method is inside of: the innermost one, or the one that holds `key`. Undefined outside of
 * every lock, and in a call that was left behind without `await` and outlived its lock.
 *
 * @publicApi
 */
export function currentLease(key?: string): Lease | undefined {
  for (let frame = frames.getStore(); frame !== undefined; frame = frame.outer) {
    if (frame.lease === undefined || frame.lease.isReleased) continue;
    if (key === undefined || frame.lease.keys.includes(key)) return frame.lease;
  }
  return undefined;
}
