import { type FaultRecord, type History, historyOf } from '../history/history';
import type { CallStep, LockEvent, Remaining } from '../history/lock-event';
import { milliseconds } from '../history/moment';

/** A history that is told by hand, for the tests of the checker. All times are milliseconds. */
export class ToldHistory {
  private readonly events: LockEvent[] = [];
  private readonly faults: FaultRecord[] = [];
  private readonly calls = new Map<string, number>();

  /** Begins a call; who begins one again begins the next. */
  invoke(process: string, at: number, more: Partial<Extract<CallStep, { is: 'invoke' }>> = {}): ToldCall {
    const call = (this.calls.get(process) ?? 0) + 1;
    this.calls.set(process, call);
    if (call === 1) this.events.push({ at: 0, process, life: 1, is: 'start' });
    const told = new ToldCall((when, step) =>
      this.events.push({ at: milliseconds(when), process, life: 1, call, ...step }),
    );
    told.step(at, { is: 'invoke', key: 'stock:1', waitTime: 10_000, ttl: 1_000, ...more });
    return told;
  }

  fault(kind: string, from: number, until: number, target?: string): this {
    this.faults.push({ kind, target, from: milliseconds(from), until: milliseconds(until) });
    return this;
  }

  stall(process: string, from: number, until: number): this {
    this.events.push({
      at: milliseconds(until),
      process,
      life: 1,
      is: 'stall',
      since: milliseconds(from),
    });
    return this;
  }

  endedAt(end: number): History {
    return historyOf(
      [...this.events].sort((one, other) => one.at - other.at),
      this.faults,
      milliseconds(end),
    );
  }
}

/** One call of a told history. */
export class ToldCall {
  constructor(readonly step: (at: number, step: CallStep) => void) {}

  arrive(at: number): this {
    return this.and(at, { is: 'arrived' });
  }

  abort(at: number): this {
    return this.and(at, { is: 'abort' });
  }

  grant(at: number, token: number | undefined, remaining: Remaining = 1_000): this {
    return this.and(at, { is: 'grant', token, remaining });
  }

  hold(at: number, remaining: Remaining): this {
    return this.and(at, { is: 'hold', remaining });
  }

  lose(at: number): this {
    return this.and(at, { is: 'lost', reason: 'it was not renewed' });
  }

  release(at: number, remaining: Remaining = 500): this {
    return this.and(at, { is: 'release', remaining });
  }

  reject(at: number, code = 'LOCK_BUSY'): this {
    return this.and(at, { is: 'reject', code });
  }

  private and(at: number, step: CallStep): this {
    this.step(at, step);
    return this;
  }
}
