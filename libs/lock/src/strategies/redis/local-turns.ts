import type { Turn } from './place.js';
import type { Waiter } from './waiter.js';

/** With `bypass`: all calls of this instance that wait for one lock, in their order, whatever place serves them. */
export class LocalTurns implements Turn {
  private readonly waiters = new Set<Waiter>();

  /** `emptied` is told when the last one was served. */
  constructor(private readonly emptied: () => void) {}

  get size(): number {
    return this.waiters.size;
  }

  get wanted(): boolean {
    return this.waiters.size > 0;
  }

  add(waiter: Waiter): void {
    this.waiters.add(waiter);
  }

  delete(waiter: Waiter): void {
    this.waiters.delete(waiter);
  }

  next(): Waiter | undefined {
    return this.waiters.values().next().value;
  }

  take(): void {
    const waiter = this.next();
    if (waiter === undefined) return;
    this.waiters.delete(waiter);
    if (this.waiters.size === 0) this.emptied();
  }

  all(): readonly Waiter[] {
    return [...this.waiters];
  }
}
