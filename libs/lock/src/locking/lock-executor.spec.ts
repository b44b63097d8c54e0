import { Logger } from '@nestjs/common';
import { memoryLock } from '../strategies/memory/index.js';
import { currentLease, withWaitSignal } from './lock-context.js';
import { LockBusyError, LockLostError, LockNotOwnedError, LockUnavailableError } from './lock-error.js';
import { LockEvents, type LockEvent } from './lock-events.js';
import type { LockCall } from './lock-call.js';
import { LockExecutor } from './lock-executor.js';
import { LockInstrumentation } from './lock-instrumentation.js';
import { LockStrategies } from './lock-strategies.js';
import { LockStrategyProvider } from './lock-strategy.provider.js';
import {
  LockStrategy,
  type LockRequest,
  type LockStrategyFactory,
  type StrategyLease,
} from './lock-strategy.js';
import { LockTransactions, type TransactionRequest } from './lock-transactions.js';

describe('one call inside of its locks', () => {
  let events: LockEvents;
  let locks: LockExecutor;
  let strategies: LockStrategies;

  beforeEach(() => build());
  afterEach(() => strategies.close());

  function build(
    factory: LockStrategyFactory = memoryLock({ shutdownTimeout: 0 }),
    transactions?: LockTransactions,
    instrumentation?: LockInstrumentation,
  ): void {
    strategies = new LockStrategies({ factories: { default: factory }, resolve: () => undefined as never });
    events = new LockEvents();
    const provider = new LockStrategyProvider(strategies);
    locks = new LockExecutor({ strategies, provider, events, transactions, instrumentation });
  }

  const call = (keys: string | string[], options: LockCall['options'] = {}): LockCall => ({
    keys: [keys].flat(),
    label: 'Shop.sell',
    options,
  });

  describe('re-entry', () => {
    it('does not take a call that was left behind and outlived its lock for one inside', async () => {
      const gate = deferred();
      let leftBehind: Promise<unknown> = Promise.resolve();
      await locks.run(call('stock:1'), async () => {
        leftBehind = gate.promise.then(() => [
          currentLease(),
          locks.run(call('stock:1', { waitTime: 0 }), () => Promise.resolve('inside')),
        ]);
        await Promise.resolve();
      });
      const other = await locks.acquire(call('stock:1'));
      gate.resolve();
      const [lease, second] = (await leftBehind) as [undefined, Promise<string>];
      expect(lease).toBeUndefined();
      await expect(second).rejects.toBeInstanceOf(LockBusyError);
      await other.release();
    });

    it('lets a call that entered the lock again and was left behind go no further inside of it', async () => {
      const gate = deferred();
      let leftBehind: Promise<unknown> = Promise.resolve();
      await locks.run(call('stock:1'), async () => {
        leftBehind = locks.run(call('stock:1'), async (inner) => {
          await gate.promise;
          expect(inner.isReleased).toBe(true);
          expect(() => inner.assertHeld()).toThrow(LockNotOwnedError);
          expect(currentLease()).toBeUndefined();
          return locks.run(call('stock:1', { waitTime: 0 }), () => Promise.resolve('inside'));
        });
        await Promise.resolve();
      });
      await locks.run(call('stock:1'), async () => {
        gate.resolve();
        await expect(leftBehind).rejects.toBeInstanceOf(LockBusyError);
      });
    });

    it('is over once the method released its own lease', async () => {
      await locks.run(call('stock:1'), async (lease) => {
        await lease.release();
        const other = await locks.acquire(call('stock:1', { waitTime: 0 }));
        expect(other.token).not.toBe(lease.token);
        await other.release();
      });
    });

    it('does not go on inside of a lock that was lost', async () => {
      const ran = jest.fn(() => Promise.resolve());
      const outer = locks.run(call('stock:1'), async () => {
        await strategies.get('default').forceRelease?.('stock:1');
        await expect(locks.acquire(call('stock:1'))).rejects.toBeInstanceOf(LockLostError);
        await locks.run(call('stock:1'), ran);
      });
      await expect(outer).rejects.toBeInstanceOf(LockLostError);
      expect(ran).not.toHaveBeenCalled();
    });
  });

  describe('several keys', () => {
    it('takes each of them once, whatever their order: no deadlock, and no lock left', async () => {
      const turns: string[] = [];
      await Promise.all(
        [...Array(50).keys()].map((number) =>
          locks.run(call(number % 2 ? ['b', 'a', 'b'] : ['a', 'b']), async (lease) => {
            expect(lease.keys).toEqual(['a', 'b']);
            turns.push('in');
            await new Promise(setImmediate);
            turns.push('out');
          }),
        ),
      );
      expect(turns).toHaveLength(100);
      expect(turns.every((turn, place) => turn === (place % 2 ? 'out' : 'in'))).toBe(true);
    });

    it('knows the token of each key, and enters those that it holds already', async () => {
      await locks.run(call('b'), async (outer) => {
        await locks.run(call(['a', 'b'], { waitTime: 0 }), (inner) => {
          expect(inner.tokens.get('b')).toBe(outer.token);
          expect(inner.tokens.get('a')).toBeGreaterThan(outer.token ?? Infinity);
          return Promise.resolve();
        });
        outer.assertHeld();
      });
    });
  });

  describe('what the strategy is asked for', () => {
    let asked: LockRequest[];

    beforeEach(() => {
      asked = [];
      build(() => new FencingStrategy(asked));
    });

    it('is one waitTime for all keys together', async () => {
      const lease = await locks.acquire(call(['a', 'b'], { waitTime: 1_000 }));
      await lease.release();
      expect(asked.map(({ name }) => name)).toEqual(['a', 'b']);
      expect(asked[0]?.waitTime).toBeGreaterThan(990);
      expect(asked[1]?.waitTime).toBeLessThan(985);
    });

    it('is no longer a lease than the lock may be held', async () => {
      for (const holdAtMost of [500, 50, 60_000]) {
        await (await locks.acquire(call('a', { ttl: 10_000, holdAtMost }))).release();
      }
      expect(asked.map(({ ttl }) => ttl)).toEqual([500, 100, 10_000]);
    });
  });

  describe('when the lock is busy', () => {
    it('throws by default and says who, what and how long', async () => {
      const holder = await locks.acquire(call('stock:1'));
      await expect(locks.run(call('stock:1', { waitTime: 5 }), () => Promise.resolve())).rejects.toThrow(
        /"stock:1" is locked by somebody else \(waited \d+ ms.*Try again later/,
      );
      await holder.release();
    });

    it('skips, or answers with a function, when it is asked to', async () => {
      const skipped: string[] = [];
      events.on('skipped', ({ key }) => skipped.push(key));
      const holder = await locks.acquire(call('stock:1'));
      const work = jest.fn(() => Promise.resolve('worked'));
      await expect(locks.run(call('stock:1', { whenBusy: 'skip' }), work)).resolves.toBeUndefined();
      await expect(
        locks.run(call('stock:1', { waitTime: 0, whenBusy: (error) => `busy ${error.key}` }), work),
      ).resolves.toBe('busy stock:1');
      expect(work).not.toHaveBeenCalled();
      expect(skipped).toEqual(['stock:1']);
      await holder.release();
    });

    it("leaves a busy lock of another call to that call's own rule", async () => {
      const holder = await locks.acquire(call('inner'));
      const outer = locks.run(call('outer', { whenBusy: 'skip' }), () =>
        locks.run(call('inner', { waitTime: 0 }), () => Promise.resolve()),
      );
      await expect(outer).rejects.toMatchObject({ code: 'LOCK_BUSY', key: 'inner' });
      await holder.release();
    });

    it('stops waiting when the request that it works for is over, and leaves a running method alone', async () => {
      const request = new AbortController();
      const holder = await locks.acquire(call('stock:1'));
      const waiting = withWaitSignal(request.signal, () =>
        locks.run(call('stock:1'), () => Promise.resolve()),
      );
      const running = withWaitSignal(request.signal, () =>
        locks.run(call('stock:2'), async () => {
          await new Promise(setImmediate);
          return 'done';
        }),
      );
      request.abort(new Error('the client hung up'));
      await expect(waiting).rejects.toThrow('the client hung up');
      await expect(running).resolves.toBe('done');
      await holder.release();
    });

    it('lets many locks wait for one request without a warning', async () => {
      const warned = jest.spyOn(process, 'emitWarning').mockImplementation();
      const holder = await locks.acquire(call('stock:1'));
      const waiting = withWaitSignal(new AbortController().signal, () =>
        Promise.all(Array.from({ length: 20 }, () => locks.run(call('stock:1'), () => Promise.resolve()))),
      );
      await holder.release();
      await waiting;
      expect(warned).not.toHaveBeenCalled();
      warned.mockRestore();
    });

    it.each(['own', 'inner', 'outer'] as const)(
      'stops waiting at the %s one of several signals',
      async (which) => {
        const ends = {
          own: new AbortController(),
          inner: new AbortController(),
          outer: new AbortController(),
        };
        const holder = await locks.acquire(call('stock:1'));
        const waiting = withWaitSignal(ends.outer.signal, () =>
          withWaitSignal(ends.inner.signal, () =>
            locks.acquire({ ...call('stock:1'), signal: ends.own.signal }),
          ),
        );
        ends[which].abort(new Error(`${which} is over`));
        await expect(waiting).rejects.toThrow(`${which} is over`);
        await holder.release();
      },
    );
  });

  describe('when the lock is lost', () => {
    const losing = async (): Promise<string> => {
      await strategies.get('default').forceRelease?.('stock:1');
      return 'worked';
    };

    it('throws afterwards, with the result', async () => {
      const lost = locks.run(call('stock:1'), losing);
      await expect(lost).rejects.toMatchObject({ code: 'LOCK_LOST', key: 'stock:1', result: 'worked' });
      await expect(lost).rejects.toThrow(/don't retry blindly/);
    });

    it('returns the result when it is asked to ignore that', async () => {
      await expect(locks.run(call('stock:1', { whenLost: 'ignore' }), losing)).resolves.toBe('worked');
    });

    it('aborts the signal while the method runs, and says so in an event', async () => {
      const lost: unknown[] = [];
      events.on('lost', ({ error }) => lost.push(error));
      await locks
        .run(call('stock:1'), async (lease) => {
          await losing();
          expect(lease.signal.aborted).toBe(true);
          expect(() => lease.assertHeld()).toThrow(LockLostError);
        })
        .catch(() => undefined);
      expect(lost).toHaveLength(1);
    });

    it('lets the error of the method win', async () => {
      const failing = locks.run(call('stock:1'), async () => {
        await losing();
        throw new Error('sold out');
      });
      await expect(failing).rejects.toThrow('sold out');
    });
  });

  describe('a limited lock', () => {
    it('is given back after holdAtMost, while the method still runs', async () => {
      const next = deferred();
      const overlong = locks.run(call('stock:1', { holdAtMost: 20 }), async (lease) => {
        await new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
        await next.promise;
        return 'late';
      });
      await locks.run(call('stock:1'), () => Promise.resolve(next.resolve()));
      await expect(overlong).rejects.toMatchObject({ code: 'LOCK_LOST', result: 'late' });
    });

    it('lasts longer when it is extended', async () => {
      await locks.run(call('stock:1', { holdAtMost: 30 }), async (lease) => {
        await lease.extend(60_000);
        expect(lease.remaining).toBeGreaterThan(30_000);
      });
    });

    it('is kept for holdAtLeast after a quick method', async () => {
      await locks.run(call('settle', { holdAtLeast: 60_000 }), () => Promise.resolve());
      await expect(
        locks.run(call('settle', { whenBusy: 'skip' }), () => Promise.resolve('ran')),
      ).resolves.toBeUndefined();
    });
  });

  describe('a store with faults', () => {
    it('never runs without a lock unless it is told to, and says so then', async () => {
      build(
        () =>
          new FaultyStrategy({ acquire: new LockUnavailableError('nobody answers.', { key: 'stock:1' }) }),
      );
      const work = jest.fn((_lease: unknown) => Promise.resolve('worked'));
      const running: boolean[] = [];
      const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
      events.on('unavailable', (event) => running.push(event.running));

      await expect(locks.run(call('stock:1', { whenBusy: 'skip' }), work)).rejects.toBeInstanceOf(
        LockUnavailableError,
      );
      expect(work).not.toHaveBeenCalled();
      await expect(
        locks.run(call('stock:1', { whenUnavailable: 'run' }), async (lease) => {
          expect(() => lease.assertHeld()).toThrow(LockNotOwnedError);
          return work(lease);
        }),
      ).resolves.toBe('worked');
      expect(running).toEqual([false, true]);
      expect(warn).toHaveBeenCalledWith(
        expect.stringMatching(/Shop\.sell runs WITHOUT its lock.*nobody answers/),
      );
      warn.mockRestore();
    });

    it("keeps the method's result, or its error, when the release fails", async () => {
      build(() => new FaultyStrategy({ release: new Error('connection reset') }));
      const failures: unknown[] = [];
      events.on('releaseFailed', ({ error }) => failures.push(error));
      await expect(locks.run(call('stock:1'), () => Promise.resolve('sold'))).resolves.toBe('sold');
      await expect(locks.run(call('stock:1'), () => Promise.reject(new Error('sold out')))).rejects.toThrow(
        'sold out',
      );
      expect(failures).toHaveLength(2);
    });
  });

  it('tells who traces it what it waits for and how long it holds, with the outcome of each', async () => {
    const spans: string[] = [];
    build(memoryLock({ shutdownTimeout: 0 }), undefined, new RecordedInstrumentation(spans));
    await locks.run(call('stock:1'), () => Promise.resolve(spans.push('work')));
    const holder = await locks.acquire(call('stock:2'));
    await locks.run(call('stock:2', { waitTime: 0 }), () => Promise.resolve()).catch(() => undefined);
    await holder.release();
    expect(spans).toEqual([
      'wait stock:1',
      'hold stock:1',
      'work',
      'held stock:1',
      'wait stock:2',
      'wait stock:2',
      'failed stock:2: LOCK_BUSY',
    ]);
  });

  describe('a transaction', () => {
    let log: string[];

    beforeEach(() => {
      log = [];
      build(memoryLock({ shutdownTimeout: 0 }), new RecordedTransactions(log));
      events.on('acquired', ({ key }) => log.push(`acquire ${key}`));
    });

    const heldAtCommit = async (key: string): Promise<boolean> => {
      return (await strategies.get('default').inspect?.(key))?.held === true;
    };

    it('is committed before the lock is given back', async () => {
      events.on('released', ({ key }) => log.push(`release ${key}`));
      await locks.run(call('stock:1', { transaction: true }), () => Promise.resolve(log.push('run')));
      expect(log).toEqual(['acquire stock:1', 'begin', 'run', 'commit', 'release stock:1']);
    });

    it('is fenced by the tokens of its locks, those entered again included', async () => {
      const requests: TransactionRequest[] = [];
      const transactions = new RecordedTransactions(log, requests);
      build(() => new FencingStrategy([]), transactions);
      await locks.run(call(['a', 'b'], { transaction: true }), () =>
        locks.run(call('b', { transaction: true }), () => Promise.resolve()),
      );
      const [a, b] = [
        { name: 'a', token: 1 },
        { name: 'b', token: 2 },
      ];
      expect(requests.map(({ fences }) => fences)).toEqual([[a, b], [b]]);
    });

    it('is rolled back when the method throws', async () => {
      const failing = locks.run(call('stock:1', { transaction: true }), () =>
        Promise.reject(new Error('sold out')),
      );
      await expect(failing).rejects.toThrow('sold out');
      expect(log).toEqual(['acquire stock:1', 'begin', 'rollback']);
    });

    it('takes turns in a lock of its own when several of its calls want it', async () => {
      let inside = 0;
      await locks.run(call('order:1', { transaction: true }), () =>
        Promise.all(
          [1, 2, 3].map(() =>
            locks.run(call('stock:1'), async () => {
              inside += 1;
              expect(inside).toBe(1);
              await new Promise(setImmediate);
              inside -= 1;
            }),
          ),
        ),
      );
      expect(log.filter((line) => line === 'acquire stock:1')).toHaveLength(3);
    });

    it('is rolled back when a lock that was taken inside of it was lost', async () => {
      const outer = locks.run(call('order:1', { transaction: true }), async () => {
        await locks.run(call('stock:1', { whenLost: 'ignore' }), () => Promise.resolve());
        await strategies.get('default').forceRelease?.('stock:1');
      });
      await expect(outer).rejects.toMatchObject({ code: 'LOCK_LOST', key: 'stock:1' });
      expect(log.at(-1)).toBe('rollback');
    });

    it('has done what it committed, though its lock was lost right afterwards', async () => {
      const transactions = new RecordedTransactions(log);
      build(memoryLock({ shutdownTimeout: 0 }), transactions);
      transactions.afterCommit = async () => {
        await strategies.get('default').forceRelease?.('stock:1');
      };
      const selling = locks.run(call('stock:1', { transaction: true }), () => Promise.resolve('sold'));
      await expect(selling).resolves.toBe('sold');
    });

    it('keeps its lock beyond holdAtMost while the commit is under way', async () => {
      const transactions = new RecordedTransactions(log);
      build(memoryLock({ shutdownTimeout: 0 }), transactions);
      const [committing, answered] = [deferred(), deferred()];
      transactions.afterCommit = () => {
        committing.resolve();
        return answered.promise;
      };
      const lost = deferred();
      events.on('lost', () => lost.resolve());
      const selling = locks.run(call('stock:1', { transaction: true, holdAtMost: 100 }), () =>
        Promise.resolve('sold'),
      );
      await Promise.all([committing.promise, lost.promise]);
      await expect(locks.acquire(call('stock:1', { waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
      answered.resolve();
      await expect(selling).resolves.toBe('sold');
      expect(await heldAtCommit('stock:1')).toBe(false);
    });

    it('keeps the lock of the calls around it while its commits are under way', async () => {
      const transactions = new RecordedTransactions(log);
      build(memoryLock({ shutdownTimeout: 0 }), transactions);
      const commits = [deferred(), deferred()];
      const under: string[] = [];
      transactions.afterCommit = () => commits[under.push('commit') - 1]?.promise ?? Promise.resolve();
      const lost = deferred();
      events.on('lost', () => lost.resolve());
      const selling = locks.run(call('stock:1', { holdAtMost: 100, whenLost: 'ignore' }), () =>
        Promise.all(
          [1, 2].map(() => locks.run(call('stock:1', { transaction: true }), () => Promise.resolve('sold'))),
        ),
      );
      await lost.promise;
      expect(under).toHaveLength(2);
      const next = locks.acquire(call('stock:1'));
      commits[0]?.resolve();
      await new Promise(setImmediate);
      await expect(locks.acquire(call('stock:1', { waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
      commits[1]?.resolve();
      await expect(selling).resolves.toEqual(['sold', 'sold']);
      await (await next).release();
    });

    it("keeps the method's result, and gives back the other locks, when one that was taken inside is not given back", async () => {
      const released: string[] = [];
      build(
        () => new FaultyStrategy({ release: new Error('cut off') }, released),
        new RecordedTransactions(log),
      );
      const failures: LockEvent[] = [];
      events.on('releaseFailed', (event) => failures.push(event));
      const selling = locks.run(call('order:1', { transaction: true }), async () => {
        await locks.run(call('stock:1'), () => Promise.resolve());
        await locks.run(call('stock:2'), () => Promise.resolve());
        return 'sold';
      });
      await expect(selling).resolves.toBe('sold');
      expect(released).toEqual(['stock:2', 'stock:1', 'order:1']);
      expect(failures.map(({ key }) => key)).toEqual(['stock:2', 'stock:1', 'order:1']);
    });

    it('leaves a lock of a call that it did not wait for to that call', async () => {
      const gate = deferred();
      let leftBehind: Promise<void> = Promise.resolve();
      await locks.run(call('order:1', { transaction: true }), async () => {
        const inside = deferred();
        leftBehind = locks.run(call('stock:1'), () => {
          inside.resolve();
          return gate.promise;
        });
        await inside.promise;
      });
      expect(await heldAtCommit('stock:1')).toBe(true);
      gate.resolve();
      await leftBehind;
      expect(await heldAtCommit('stock:1')).toBe(false);
    });
  });
});

/** A strategy whose store fails where it is told to. */
class FaultyStrategy extends LockStrategy {
  override readonly traits = { scope: 'shared', order: 'none', fencing: false } as const;

  constructor(
    private readonly faults: { readonly acquire?: Error; readonly release?: Error },
    private readonly released: string[] = [],
  ) {
    super();
  }

  override acquire({ name }: LockRequest): Promise<StrategyLease> {
    const { acquire, release } = this.faults;
    if (acquire !== undefined) return Promise.reject(acquire);
    return Promise.resolve({
      name,
      token: undefined,
      signal: new AbortController().signal,
      remaining: 1_000,
      extend: () => Promise.resolve(),
      release: () => {
        this.released.push(name);
        return release === undefined ? Promise.resolve() : Promise.reject(release);
      },
    });
  }
}

/** Grants every wish after 20 ms, with tokens that rise, and writes down the wishes. */
class FencingStrategy extends LockStrategy {
  override readonly traits = { scope: 'shared', order: 'none', fencing: true } as const;

  constructor(private readonly asked: LockRequest[]) {
    super();
  }

  override async acquire(request: LockRequest): Promise<StrategyLease> {
    const token = this.asked.push(request);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const done = (): Promise<void> => Promise.resolve();
    const { signal } = new AbortController();
    return { name: request.name, token, signal, remaining: 1_000, extend: done, release: done };
  }
}

/** Writes down in which order a transaction goes through its steps. */
class RecordedTransactions extends LockTransactions {
  /** What happens between the commit and the answer to it. */
  afterCommit: () => Promise<void> = () => Promise.resolve();

  constructor(
    private readonly log: string[],
    private readonly requests: TransactionRequest[] = [],
  ) {
    super();
  }

  override async run<T>(request: TransactionRequest, work: () => Promise<T>): Promise<T> {
    this.requests.push(request);
    const { signal } = request;
    this.log.push('begin');
    try {
      const result = await work();
      signal.throwIfAborted();
      this.log.push('commit');
      await this.afterCommit();
      return result;
    } catch (error) {
      this.log.push('rollback');
      throw error;
    }
  }

  override isActive(): boolean {
    return false;
  }
}

/** Writes down the halves of a call. */
class RecordedInstrumentation extends LockInstrumentation {
  constructor(private readonly spans: string[]) {
    super();
  }

  override wait<T>({ key }: LockEvent, waiting: () => Promise<T>): Promise<T> {
    this.spans.push(`wait ${key}`);
    return waiting().catch((error: { code?: string }) => {
      this.spans.push(`failed ${key}: ${error.code}`);
      throw error;
    });
  }

  override async hold<T>({ key }: LockEvent, work: () => Promise<T>): Promise<T> {
    this.spans.push(`hold ${key}`);
    try {
      return await work();
    } finally {
      this.spans.push(`held ${key}`);
    }
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
