import { NEVER, Observable, Subject, of, throwError } from 'rxjs';
import { memoryLock } from '../strategies/memory/index.js';
import type { Lease } from './lease.js';
import { currentLease } from './lock-context.js';
import { LockConfigurationError, LockKeyError, LockNotOwnedError } from './lock-error.js';
import { LockEvents } from './lock-events.js';
import { LockExecutor } from './lock-executor.js';
import { LockStrategies } from './lock-strategies.js';
import { LockStrategyProvider } from './lock-strategy.provider.js';
import {
  LockStrategy,
  type LeaseTransaction,
  type LockRequest,
  type LockTraits,
  type StrategyLease,
} from './lock-strategy.js';
import { LockService } from './lock.service.js';

describe('locks without the decorator', () => {
  let strategies: LockStrategies;
  let locks: LockService;
  const commit = jest.fn(() => Promise.resolve());

  beforeEach(() => {
    const factories = {
      default: memoryLock({ shutdownTimeout: 0 }),
      other: memoryLock({ resources: ['cart'] }),
      database: () => new Transactional(commit),
    };
    strategies = new LockStrategies({ factories, resolve: () => undefined as never });
    const provider = new LockStrategyProvider(strategies);
    const executor = new LockExecutor({ strategies, provider, events: new LockEvents() });
    locks = new LockService({ executor, strategies, provider });
  });
  afterEach(() => strategies.close());

  it('holds a lock until the lease is released, and a second release is harmless', async () => {
    const lease = await locks.acquire('stock:1');
    await expect(locks.tryAcquire('stock:1')).resolves.toBeNull();
    await lease.release();
    const next = await locks.tryAcquire('stock:1');
    await lease.release();
    await expect(locks.tryAcquire('stock:1')).resolves.toBeNull();
    expect(next?.token).toBeGreaterThan(lease.token ?? Infinity);
    await next?.release();
  });

  it('only tries, unless it is told how long to wait', async () => {
    const holder = await locks.acquire('stock:1');
    const trying = locks.tryAcquire('stock:1');
    const waiting = locks.tryAcquire('stock:1', { waitTime: 10_000 });
    await new Promise(setImmediate);
    await holder.release();
    await expect(trying).resolves.toBeNull();
    await (await waiting)?.release();
    await expect(waiting).resolves.not.toBeNull();
  });

  it('refuses to go on with a lease that was released', async () => {
    const lease = await locks.acquire('stock:1');
    await lease.release();
    expect(() => lease.assertHeld()).toThrow(LockNotOwnedError);
    expect(lease.remaining).toBe(0);
    await expect(lease.extend(1_000)).rejects.toBeInstanceOf(LockNotOwnedError);
    await expect(lease.run(() => Promise.resolve())).rejects.toThrow(/was released\. Take the lock again/);
  });

  it('releases at the end of its block with await using', async () => {
    {
      await using lease = await locks.acquire('stock:1');
      expect(lease.keys).toEqual(['stock:1']);
    }
    await expect(locks.tryAcquire('stock:1')).resolves.not.toBeNull();
  });

  it('is inside of the lock in run, and not beside it', async () => {
    const lease = await locks.acquire('stock:1');
    expect(currentLease()).toBeUndefined();
    await lease.run(async () => {
      expect(currentLease('stock:1')).toBe(lease);
      expect(currentLease('stock:2')).toBeUndefined();
      await locks.run('stock:1', (inner) => expect(inner.token).toBe(lease.token), { waitTime: 0 });
    });
    await lease.release();
  });

  describe('whose lock is a transaction', () => {
    let lease: Lease;

    beforeEach(async () => {
      commit.mockClear();
      lease = await locks.acquire('row:1');
    });

    it('commits what all of the work has written', async () => {
      await Promise.all([lease.run(() => Promise.resolve()), lease.run(() => Promise.resolve())]);
      await lease.release();
      expect(commit).toHaveBeenCalledTimes(1);
    });

    it('commits nothing when one of two works failed, though the other succeeded later', async () => {
      const failing = lease.run(() => Promise.reject(new Error('broken')));
      const succeeding = lease.run(() => new Promise<void>((resolve) => setImmediate(resolve)));
      await expect(failing).rejects.toThrow('broken');
      await succeeding;
      await lease.release();
      expect(commit).not.toHaveBeenCalled();
    });

    it('keeps the locks that are taken inside of it until it is committed, and is not without them', async () => {
      const held = async (): Promise<boolean> => (await locks.inspect('stock:1')).held;
      await lease.run(() => locks.run('stock:1', () => undefined));
      expect(await held()).toBe(true);
      await lease.release();
      expect(await held()).toBe(false);
      expect(commit).toHaveBeenCalledTimes(1);

      const losing = await locks.acquire('row:1');
      await losing.run(() => locks.run('stock:1', () => undefined));
      await locks.forceRelease('stock:1');
      await expect(losing.release()).rejects.toMatchObject({ code: 'LOCK_LOST', key: 'stock:1' });
      expect(commit).toHaveBeenCalledTimes(1);
    });

    it('keeps such a lock until its own end also when it runs inside of another lock of this kind', async () => {
      const around = await locks.acquire('row:2');
      await around.run(() => lease.run(() => locks.run('stock:1', () => undefined)));
      await around.release();
      expect((await locks.inspect('stock:1')).held).toBe(true);
      await lease.release();
      expect((await locks.inspect('stock:1')).held).toBe(false);
    });

    it('commits nothing while work goes on', async () => {
      let finish: () => void = () => undefined;
      const unfinished = lease.run(() => new Promise<void>((resolve) => (finish = resolve)));
      await lease.run(() => Promise.resolve());
      await lease.release();
      finish();
      await unfinished;
      expect(commit).not.toHaveBeenCalled();
    });
  });

  it('stops waiting when the signal aborts', async () => {
    const lease = await locks.acquire('stock:1');
    const stop = new AbortController();
    const waiting = locks.run('stock:1', () => 'ran', { signal: stop.signal, waitTime: Infinity });
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await lease.release();
  });

  it('looks at a lock and frees it by force', async () => {
    const lease = await locks.acquire('stock:1');
    const waiting = locks.run('stock:1', () => 'ran');
    expect(await locks.inspect('stock:1')).toMatchObject({
      held: true,
      token: lease.token,
      waiters: ['waiter 1'],
    });
    expect(await locks.forceRelease('stock:1')).toBe(true);
    expect(lease.signal.aborted).toBe(true);
    await expect(waiting).resolves.toBe('ran');
    expect(await locks.forceRelease('stock:1')).toBe(false);
  });

  it('locks a resource by the strategy that claims it', async () => {
    const lease = await locks.acquire('cart:1');
    expect((await locks.inspect('cart:1', { strategy: 'other' })).held).toBe(true);
    expect((await locks.inspect('cart:1', { strategy: 'default' })).held).toBe(false);
    await lease.release();
  });

  it('names the strategies there are when asked for another', async () => {
    const asking = locks.acquire('stock:1', { strategy: 'redis' });
    await expect(asking).rejects.toBeInstanceOf(LockConfigurationError);
    await expect(asking).rejects.toThrow(/no lock strategy "redis".*"default", "other", "database"/);
  });

  it.each([[undefined], [null], [''], [42], [{}], [[undefined]]])('refuses the key %j', async (key) => {
    await expect(locks.run(key as unknown as string, () => 'ran')).rejects.toBeInstanceOf(LockKeyError);
  });

  describe('around a stream', () => {
    const free = async (): Promise<boolean> => !(await locks.inspect('stock:1')).held;

    async function until(state: () => Promise<boolean>): Promise<void> {
      while (!(await state())) await new Promise(setImmediate);
    }

    it('holds the lock until the stream completes', async () => {
      const source = new Subject<number>();
      const values: number[] = [];
      const completed = new Promise<void>((complete) => {
        locks.observe('stock:1', () => source).subscribe({ next: (value) => values.push(value), complete });
      });
      await until(async () => source.observed);
      source.next(1);
      expect(await free()).toBe(false);
      source.complete();
      await completed;
      expect(values).toEqual([1]);
      expect(await free()).toBe(true);
    });

    it('frees the lock when the stream fails, or its source throws', async () => {
      for (const source of [() => throwError(() => new Error('broken')), () => raise('broken')]) {
        const failed = new Promise((_, error) => locks.observe('stock:1', source).subscribe({ error }));
        await expect(failed).rejects.toThrow('broken');
        expect(await free()).toBe(true);
      }
    });

    it('frees the lock when it is unsubscribed from, and leaves the queue when it still waits', async () => {
      const subscription = locks.observe('stock:1', () => NEVER).subscribe();
      const subscribed = jest.fn(() => of(1));
      const waiting = locks.observe('stock:1', subscribed).subscribe();
      await until(async () => (await locks.inspect('stock:1')).waiters.length === 1);
      waiting.unsubscribe();
      await until(async () => (await locks.inspect('stock:1')).waiters.length === 0);
      subscription.unsubscribe();
      await until(free);
      expect(subscribed).not.toHaveBeenCalled();
    });

    it('ends the stream when the lock is lost', async () => {
      const failed = new Promise((_, error) => locks.observe('stock:1', () => NEVER).subscribe({ error }));
      await until(async () => !(await free()));
      await locks.forceRelease('stock:1');
      await expect(failed).rejects.toMatchObject({ code: 'LOCK_LOST' });
    });
  });
});

function raise(message: string): Observable<never> {
  throw new Error(message);
}

/** As a lock that lives in a database transaction. */
class Transactional extends LockStrategy {
  override readonly traits: LockTraits = { scope: 'shared', order: 'none', fencing: false };
  override readonly resources = ['row'];

  constructor(private readonly commit: () => Promise<void>) {
    super();
  }

  override async acquire({ name }: LockRequest): Promise<StrategyLease> {
    const done = (): Promise<void> => Promise.resolve();
    const { signal } = new AbortController();
    const transaction: LeaseTransaction = { run: (work) => work(), commit: this.commit };
    return { name, token: undefined, signal, remaining: Infinity, transaction, extend: done, release: done };
  }
}
