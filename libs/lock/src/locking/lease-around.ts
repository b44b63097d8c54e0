import type { LeaseTransaction, StrategyLease } from './lock-strategy.js';

/** Another lease under another release: whoever puts something around a lease says what giving it back means. */
export abstract class LeaseAround implements StrategyLease {
  constructor(protected readonly lease: StrategyLease) {}

  get name(): string {
    return this.lease.name;
  }

  get token(): number | undefined {
    return this.lease.token;
  }

  get signal(): AbortSignal {
    return this.lease.signal;
  }

  get isLost(): boolean {
    return this.lease.isLost ?? this.lease.signal.aborted;
  }

  get remaining(): number {
    return this.lease.remaining;
  }

  get transaction(): LeaseTransaction | undefined {
    return this.lease.transaction;
  }

  extend(duration: number): Promise<void> {
    return this.lease.extend(duration);
  }

  abstract release(): Promise<void>;
}
