import { Logger } from '@nestjs/common';
import { eventOf } from './lock-events.js';
import type { LockStrategy } from './lock-strategy.js';
import { SlowWaits } from './slow-waits.js';

describe('the warning of a slow wait', () => {
  const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation();
  const event = eventOf({ label: 'Shop.sell', template: 'stock:<id>' }, 'stock:42', 'default');
  const strategyThat = (inspect: LockStrategy['inspect']): LockStrategy => ({ inspect }) as LockStrategy;
  const busy = strategyThat((name) =>
    Promise.resolve({
      name,
      held: true,
      holder: 'server 1',
      since: new Date(Date.now() - 2_400),
      waiters: ['a', 'b', 'c'],
    }),
  );

  beforeEach(() => {
    warn.mockClear();
    jest.useFakeTimers();
  });
  afterEach(() => jest.useRealTimers());
  afterAll(() => warn.mockRestore());

  it('comes at half the wait time, and says who holds the lock and how many wait, but no id', async () => {
    new SlowWaits().began(busy, event, 5_000);
    await jest.advanceTimersByTimeAsync(2_400);
    expect(warn).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(100);
    expect(warn).toHaveBeenCalledWith(
      expect.stringMatching(
        /^Shop\.sell has waited 2\.5 s for stock:<id>, 3 in the queue, held by server 1 for \d\.\d s\./,
      ),
    );
  });

  it('comes once in a while, however many wait', async () => {
    const waits = new SlowWaits();
    for (let caller = 0; caller < 100; caller += 1) waits.began(busy, event, 5_000);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(warn).toHaveBeenCalledTimes(1);
    waits.began(busy, event, 60_000);
    await jest.advanceTimersByTimeAsync(30_000);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  it('does not come when the wait is over, was short, or never ends', async () => {
    const waits = new SlowWaits();
    const over = waits.began(busy, event, 5_000);
    if (over !== undefined) waits.ended(over);
    waits.began(busy, event, 999);
    waits.began(busy, event, Infinity);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(warn).not.toHaveBeenCalled();
  });

  it('comes all the same when the store can not be asked', async () => {
    new SlowWaits().began(
      strategyThat(() => Promise.reject(new Error('down'))),
      event,
      5_000,
    );
    await jest.advanceTimersByTimeAsync(2_500);
    expect(warn).toHaveBeenCalledWith(
      expect.stringMatching(/^Shop\.sell has waited 2\.5 s for stock:<id>\. If/),
    );
  });
});
