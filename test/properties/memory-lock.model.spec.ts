import fc from 'fast-check';
import { LockBusyError, memoryLock } from 'nestjs-distributed-lock';
import type { LockStrategy, StrategyLease } from 'nestjs-distributed-lock';

/** How a wait ended without the lock. */
type End = 'busy' | 'aborted';

/** One call, as the strategy sees it and as the model does. */
interface CallState {
  readonly abort: AbortController;
  readonly key: string;
  readonly holdAtLeast: number;
  lease: StrategyLease | undefined;
  /** An error that is neither is kept as it is: no model has it. */
  ended: unknown;
}

/** What a lock in one process must do, in the plainest words: a list of those who wait, and who holds. */
class Model {
  readonly locks = new Map<string, ModelLock>();
  readonly ended = new Map<number, End>();
  now = 0;

  lock(key: string): ModelLock {
    let lock = this.locks.get(key);
    if (lock === undefined)
      this.locks.set(key, (lock = { holder: undefined, closedUntil: 0, queue: [], granted: [] }));
    return lock;
  }

  /** Lets in whoever is first, where nobody is inside. */
  settle(): void {
    for (const lock of this.locks.values()) {
      if (lock.holder !== undefined || lock.closedUntil > this.now) continue;
      const next = lock.queue.shift();
      if (next === undefined) continue;
      lock.holder = next.call;
      lock.takenAt = this.now;
      lock.granted.push(next.call);
    }
  }
}

interface ModelLock {
  holder: number | undefined;
  takenAt?: number;
  /** Held over for `holdAtLeast` after a release. */
  closedUntil: number;
  readonly queue: { readonly call: number; readonly givesUpAt: number }[];
  /** All who ever got it, one after another. */
  readonly granted: number[];
}

interface Real {
  readonly strategy: LockStrategy;
  readonly calls: CallState[];
}

const KEYS = ['stock:1', 'stock:2'] as const;

class Acquire implements fc.AsyncCommand<Model, Real> {
  constructor(
    private readonly key: string,
    private readonly waitTime: number,
    private readonly holdAtLeast: number,
  ) {}

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const { key, waitTime, holdAtLeast } = this;
    const call: CallState = {
      abort: new AbortController(),
      key,
      holdAtLeast,
      lease: undefined,
      ended: undefined,
    };
    const number = real.calls.push(call) - 1;
    const lock = model.lock(key);
    const isFree = lock.holder === undefined && lock.closedUntil <= model.now && lock.queue.length === 0;
    if (isFree || waitTime > 0) lock.queue.push({ call: number, givesUpAt: model.now + waitTime });
    else model.ended.set(number, 'busy');
    model.settle();
    real.strategy.acquire({ name: key, waitTime, holdAtLeast, ttl: 1_000, signal: call.abort.signal }).then(
      (lease) => (call.lease = lease),
      (error: unknown) => (call.ended = endOf(error, call)),
    );
    await compare(model, real);
  }

  toString(): string {
    return `acquire(${this.key}, wait ${this.waitTime}, at least ${this.holdAtLeast})`;
  }
}

class Release implements fc.AsyncCommand<Model, Real> {
  constructor(private readonly which: number) {}

  check(): boolean {
    return true;
  }

  /** Any call, also one that was never let in, or was released before: both do nothing. */
  async run(model: Model, real: Real): Promise<void> {
    const number = this.which % Math.max(1, real.calls.length);
    const call = real.calls[number];
    const lock = call && model.lock(call.key);
    if (call !== undefined && lock?.holder === number) {
      lock.holder = undefined;
      lock.closedUntil = (lock.takenAt ?? 0) + call.holdAtLeast;
      model.settle();
    }
    await call?.lease?.release();
    await compare(model, real);
  }

  toString(): string {
    return `release(${this.which})`;
  }
}

class Abort implements fc.AsyncCommand<Model, Real> {
  constructor(private readonly which: number) {}

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const number = this.which % Math.max(1, real.calls.length);
    const call = real.calls[number];
    const queue = call && model.lock(call.key).queue;
    const place = queue?.findIndex((waiter) => waiter.call === number) ?? -1;
    if (place >= 0) {
      queue?.splice(place, 1);
      model.ended.set(number, 'aborted');
    }
    call?.abort.abort(new Error('enough'));
    await compare(model, real);
  }

  toString(): string {
    return `abort(${this.which})`;
  }
}

class ForceRelease implements fc.AsyncCommand<Model, Real> {
  constructor(private readonly key: string) {}

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const lock = model.lock(this.key);
    const wasHeld = lock.holder !== undefined || lock.closedUntil > model.now;
    const holder = lock.holder === undefined ? undefined : real.calls[lock.holder];
    lock.holder = undefined;
    lock.closedUntil = 0;
    model.settle();
    expect(await real.strategy.forceRelease?.(this.key)).toBe(wasHeld);
    if (holder !== undefined) expect(holder.lease?.signal.aborted).toBe(true);
    await compare(model, real);
  }

  toString(): string {
    return `forceRelease(${this.key})`;
  }
}

class PassTime implements fc.AsyncCommand<Model, Real> {
  constructor(private readonly duration: number) {}

  check(): boolean {
    return true;
  }

  /** Millisecond by millisecond: what is due at the same moment may come in any order, so nothing is. */
  async run(model: Model, real: Real): Promise<void> {
    for (let passed = 0; passed < this.duration; passed += 1) {
      model.now += 1;
      for (const lock of model.locks.values()) {
        for (const waiter of [...lock.queue]) {
          if (waiter.givesUpAt > model.now) continue;
          lock.queue.splice(lock.queue.indexOf(waiter), 1);
          model.ended.set(waiter.call, 'busy');
        }
      }
      model.settle();
      await jest.advanceTimersByTimeAsync(1);
    }
    await compare(model, real);
  }

  toString(): string {
    return `pass(${this.duration} ms)`;
  }
}

function endOf(error: unknown, { abort }: CallState): unknown {
  if (error instanceof LockBusyError) return 'busy';
  return abort.signal.aborted && error === abort.signal.reason ? 'aborted' : error;
}

async function compare(model: Model, real: Real): Promise<void> {
  await new Promise(setImmediate);
  for (const key of KEYS) {
    const lock = model.lock(key);
    const inside = real.calls.flatMap(({ lease, key: of }, number) =>
      of === key && lease !== undefined && lease.remaining > 0 ? [number] : [],
    );
    expect(inside).toEqual(lock.holder === undefined ? [] : [lock.holder]);
    const seen = await real.strategy.inspect?.(key);
    expect(seen?.held).toBe(lock.holder !== undefined || lock.closedUntil > model.now);
    expect(seen?.waiters).toHaveLength(lock.queue.length);
    const granted = real.calls.flatMap(({ lease, key: of }, number) =>
      of === key && lease !== undefined ? [number] : [],
    );
    expect(granted).toEqual([...lock.granted].sort((one, other) => one - other));
    const tokens = lock.granted.map((number) => Number(real.calls[number]?.lease?.token));
    expect(tokens.every(Number.isSafeInteger)).toBe(true);
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
  }
  expect(real.calls.map(({ ended }) => ended)).toEqual(
    real.calls.map((_, number) => model.ended.get(number)),
  );
}

describe('the lock in memory, against a model', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'Date'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('lets in who the model lets in, whatever is asked in whatever order', async () => {
    const key = fc.constantFrom(...KEYS);
    // Odd and even: no wait and no hold-over ever end at the same moment.
    const waitTime = fc.constantFrom(0, 11, 31, 10_001, Infinity);
    const holdAtLeast = fc.constantFrom(0, 0, 0, 20);
    const commands = [
      fc.tuple(key, waitTime, holdAtLeast).map((parts) => new Acquire(...parts)),
      fc.tuple(key, waitTime, holdAtLeast).map((parts) => new Acquire(...parts)),
      fc.nat(40).map((which) => new Release(which)),
      fc.nat(40).map((which) => new Release(which)),
      fc.nat(40).map((which) => new Abort(which)),
      key.map((name) => new ForceRelease(name)),
      fc.constantFrom(2, 10, 40).map((duration) => new PassTime(duration)),
    ];
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: 'max' }), async (sequence) => {
        // Timers that a failed run left would be blamed on the shorter ones that are tried after it.
        jest.clearAllTimers();
        const strategy = memoryLock({ shutdownTimeout: 0 })({ strategy: 'memory', get: neverAsked });
        const real: Real = { strategy, calls: [] };
        await fc.asyncModelRun(() => ({ model: new Model(), real }), sequence);
        const closed = strategy.close?.();
        await jest.advanceTimersByTimeAsync(1);
        await closed;
        expect(jest.getTimerCount()).toBe(0);
      }),
      { numRuns: 150 },
    );
  });
});

function neverAsked(): never {
  throw new Error('The strategy needs nothing of the application.');
}
