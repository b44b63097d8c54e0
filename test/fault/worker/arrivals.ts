import type { LockStrategy } from 'nestjs-distributed-lock';

/**
 * Finds out which calls the store knows of. A store that says in whose name somebody waits has heard of all calls of a
 * process when it knows of as many waiters of that process as there are.
 */
export class Arrivals {
  private readonly waiting = new Map<string, Set<number>>();

  constructor(
    private readonly strategy: LockStrategy,
    private readonly arrived: (call: number) => void,
  ) {}

  begin(key: string, call: number): void {
    const calls = this.waiting.get(key);
    if (calls === undefined) this.waiting.set(key, new Set([call]));
    else calls.add(call);
  }

  end(key: string, call: number): void {
    this.waiting.get(key)?.delete(call);
  }

  /** Looks now. That nobody answers, or that somebody is missing, shows nothing. */
  async look(key: string): Promise<void> {
    const calls = this.waiting.get(key);
    const before = [...(calls ?? [])];
    const seen = await this.strategy.inspect?.(key).catch(() => undefined);
    if (calls === undefined || seen === undefined) return;
    const ours = seen.waiters.filter((waiter) => waiter.includes(`process ${process.pid} `)).length;
    if (ours < calls.size || before.some((call) => !calls.has(call))) return;
    before.forEach((call) => this.arrived(call));
  }
}
