import { Logger } from '@nestjs/common';
import { memoryLock } from '../strategies/memory/index.js';
import { LockEvents } from './lock-events.js';
import { LockExecutor } from './lock-executor.js';
import { LockStrategies } from './lock-strategies.js';
import { LockStrategyProvider } from './lock-strategy.provider.js';
import { LockService } from './lock.service.js';

describe('the election of a leader', () => {
  let strategies: LockStrategies;
  let locks: LockService;
  const log = jest.spyOn(Logger.prototype, 'error').mockImplementation();

  beforeEach(() => {
    log.mockClear();
    strategies = new LockStrategies({
      factories: { default: memoryLock({ shutdownTimeout: 0 }) },
      resolve: () => undefined as never,
    });
    const provider = new LockStrategyProvider(strategies);
    const executor = new LockExecutor({ strategies, provider, events: new LockEvents() });
    locks = new LockService({ executor, strategies, provider });
  });
  afterEach(() => strategies.close());
  afterAll(() => log.mockRestore());

  const untilAborted = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve());
    });

  it('has one leader at a time, and the next one when it steps down', async () => {
    const terms: string[] = [];
    const stop = new AbortController();
    const first = locks.lead(
      'reports',
      async (signal) => {
        terms.push('first');
        await untilAborted(signal);
        terms.push('first ended');
      },
      { signal: stop.signal },
    );
    const second = locks.lead('reports', () => Promise.resolve(void terms.push('second')));
    while ((await locks.inspect('reports')).waiters.length + terms.length < 2)
      await new Promise(setImmediate);
    expect(terms).toEqual(['first']);
    stop.abort();
    await Promise.all([first, second]);
    expect(terms).toEqual(['first', 'first ended', 'second']);
  });

  it('stands again when its work fails, and when it lost the lead', async () => {
    let term = 0;
    await locks.lead(
      'reports',
      async (signal) => {
        term += 1;
        if (term === 1) throw new Error('no paper');
        if (term > 2) return;
        await locks.forceRelease('reports');
        await untilAborted(signal);
      },
      { retryDelay: 1 },
    );
    expect(term).toBe(3);
    expect(log).toHaveBeenCalledTimes(1);
  });

  it('stops standing when its signal aborts, and when the application shuts down', async () => {
    const holder = await locks.acquire('reports');
    const stop = new AbortController();
    const work = jest.fn();
    const stopped = locks.lead('reports', work, { signal: stop.signal });
    const shutDown = locks.lead('reports', work);
    stop.abort();
    await stopped;
    await strategies.drain();
    await shutDown;
    await holder.release();
    expect(work).not.toHaveBeenCalled();
  });

  it.each<[object, RegExp]>([
    [{ ttl: 1 }, /ttl must be/],
    [{ retryDelay: -1 }, /retryDelay must be a number of milliseconds from 0, got -1/],
    [{ waitTimes: 1 }, /no option "waitTimes"/],
    [{ strategy: 'nowhere' }, /no lock strategy "nowhere"/],
  ])('refuses %j', async (options, message) => {
    await expect(locks.lead('reports', () => Promise.resolve(), options)).rejects.toThrow(message);
  });
});
