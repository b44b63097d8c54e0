import {
  LockBusyError,
  LockConfigurationError,
  LockLostError,
  LockShutdownError,
} from '../../locking/lock-error.js';
import type { LockRequest, LockStrategy } from '../../locking/lock-strategy.js';
import { memoryLock } from './memory-lock.js';

describe('the lock in memory', () => {
  let locks: LockStrategy;

  beforeEach(
    () =>
      (locks = memoryLock({ shutdownTimeout: 20 })({ strategy: 'memory', get: () => undefined as never })),
  );
  afterEach(() => locks.close?.());

  const request = (name: string, more: Partial<LockRequest> = {}): LockRequest => ({
    name,
    waitTime: 1_000,
    ttl: 1_000,
    holdAtLeast: 0,
    ...more,
  });

  it.each<[object, RegExp]>([
    [{ ttl: 5_000 }, /memoryLock: there is no option "ttl"/],
    [{ resources: 'cart' }, /resources must be a list.*got cart/],
    [{ shutdownTimeout: -1 }, /shutdownTimeout must be a number of milliseconds from 0.*got -1/],
    [{ shutdownTimeout: Infinity }, /shutdownTimeout must be.*got Infinity/],
  ])('refuses the options %j', (options, message) => {
    expect(() => memoryLock(options)).toThrow(LockConfigurationError);
    expect(() => memoryLock(options)).toThrow(message);
  });

  it('remembers no key that nobody holds or waits for', async () => {
    for (let id = 0; id < 1_000; id += 1) await (await locks.acquire(request(`stock:${id}`))).release();
    const lease = await locks.acquire(request('busy'));
    await expect(locks.acquire(request('busy', { waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
    await lease.release();
    expect((locks as unknown as { locks: Map<string, unknown> }).locks.size).toBe(0);
  });

  it('keeps a lock for holdAtLeast after its release, and hands it on then', async () => {
    const lease = await locks.acquire(request('settle', { holdAtLeast: 50 }));
    const takenAt = performance.now();
    await lease.release();
    await expect(locks.acquire(request('settle', { waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
    const next = await locks.acquire(request('settle'));
    expect(performance.now() - takenAt).toBeGreaterThanOrEqual(45);
    await next.release();
  });

  it('sends waiters away at the shut-down, waits for the holder, and lets nobody in any more', async () => {
    const lease = await locks.acquire(request('stock:1'));
    const waiting = locks.acquire(request('stock:1'));
    const drained = locks.drain?.();
    await expect(waiting).rejects.toBeInstanceOf(LockShutdownError);
    await expect(locks.acquire(request('stock:2'))).rejects.toThrow(/shutting down/);
    let isDrained = false;
    void drained?.then(() => (isDrained = true));
    await new Promise(setImmediate);
    expect(isDrained).toBe(false);
    await lease.release();
    await drained;
  });

  it('parts two calls that each hold what the other waits for: the shorter wait ends, the other goes on', async () => {
    const leases = [await locks.acquire(request('left')), await locks.acquire(request('right'))] as const;
    const impatient = locks.acquire(request('right', { waitTime: 50 }));
    const patient = locks.acquire(request('left', { waitTime: 20_000 }));
    await expect(impatient).rejects.toBeInstanceOf(LockBusyError);
    await leases[0].release();
    await (await patient).release();
    await leases[1].release();
    expect((locks as unknown as { locks: Map<string, unknown> }).locks.size).toBe(0);
  });

  it('lets one in when a lock is released by force twice at once', async () => {
    await locks.acquire(request('stock:1'));
    const waiting = [1, 2].map(() => locks.acquire(request('stock:1')));
    const released = ['stock:1', 'stock:1'].map(async (name) => locks.forceRelease?.(name));
    expect(await Promise.all(released)).toEqual([true, false]);
    const first = await waiting[0];
    expect(await locks.inspect?.('stock:1')).toMatchObject({ token: first?.token, waiters: ['waiter 1'] });
    await first?.release();
    await (await waiting[1])?.release();
  });

  it('takes a lock by force also from who has not seen yet that it has it, and lets one in', async () => {
    const taking = locks.acquire(request('stock:1'));
    expect(await locks.forceRelease?.('stock:1')).toBe(true);
    const next = await locks.acquire(request('stock:1', { waitTime: 0 }));
    expect((await taking).signal.reason).toBeInstanceOf(LockLostError);
    await (await taking).release();
    await expect(locks.acquire(request('stock:1', { waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
    await next.release();
  });

  it('leaves a lock that goes to the next one to who gets it', async () => {
    const holder = await locks.acquire(request('stock:1'));
    const taking = locks.acquire(request('stock:1'));
    void holder.release();
    expect(await locks.forceRelease?.('stock:1')).toBe(false);
    await expect(locks.acquire(request('stock:1', { waitTime: 0 }))).rejects.toBeInstanceOf(LockBusyError);
    await (await taking).release();
  });

  it('lets nobody in after the shut-down whose turn was on its way when it began', async () => {
    const holder = await locks.acquire(request('stock:1'));
    const next = locks.acquire(request('stock:1'));
    void holder.release();
    await locks.drain?.();
    await expect(next).rejects.toBeInstanceOf(LockShutdownError);
    expect((await locks.inspect?.('stock:1'))?.held).toBe(false);
  });

  it('does not wait at the shut-down for a holder whose lock was taken by force', async () => {
    const patient = memoryLock({ shutdownTimeout: 600_000 })({
      strategy: 'memory',
      get: () => undefined as never,
    });
    await patient.acquire(request('stock:1'));
    const drained = patient.drain?.();
    await patient.forceRelease?.('stock:1');
    await drained;
  });

  it('does not wait for a holder longer than the limit', async () => {
    await locks.acquire(request('stock:1'));
    await locks.drain?.();
  });
});
