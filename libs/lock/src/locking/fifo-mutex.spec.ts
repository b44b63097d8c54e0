import { FifoMutex } from './fifo-mutex.js';

describe('the first-in-first-out mutex', () => {
  it('gives turns in the order of arrival when the second of four waiters times out and the third aborts', async () => {
    const mutex = new FifoMutex();
    const stop = new AbortController();
    const turns: number[] = [];
    const wait = async (number: number, waitTime: number, signal?: AbortSignal): Promise<boolean> => {
      const hasTurn = await mutex.enter({ waitTime, signal });
      if (hasTurn) turns.push(number);
      return hasTurn;
    };
    await mutex.enter({ waitTime: 0 });
    const first = wait(1, Infinity);
    const second = wait(2, 5);
    const third = wait(3, Infinity, stop.signal);
    const fourth = wait(4, 10_000);
    expect(mutex.queueLength).toBe(4);

    await expect(second).resolves.toBe(false);
    stop.abort(new Error('gone'));
    await expect(third).rejects.toThrow('gone');
    mutex.leave();
    await expect(first).resolves.toBe(true);
    mutex.leave();
    await expect(fourth).resolves.toBe(true);
    mutex.leave();

    expect(turns).toEqual([1, 4]);
    expect(mutex.isTaken).toBe(false);
    expect(mutex.queueLength).toBe(0);
  });

  it('lets nobody slip in between a turn and the next', async () => {
    const mutex = new FifoMutex();
    mutex.tryEnter();
    const next = mutex.enter({ waitTime: 1_000 });
    mutex.leave();
    expect(mutex.tryEnter()).toBe(false);
    await expect(next).resolves.toBe(true);
  });

  it('does not take a turn for a call that was aborted before', async () => {
    const mutex = new FifoMutex();
    await expect(
      mutex.enter({ waitTime: 1_000, signal: AbortSignal.abort(new Error('before')) }),
    ).rejects.toThrow('before');
    expect(mutex.isTaken).toBe(false);
  });

  it('ends the wait of those who wait', async () => {
    const mutex = new FifoMutex();
    mutex.tryEnter();
    const waiting = [1, 2].map(() => mutex.enter({ waitTime: Infinity }));
    mutex.dismissWaiters();
    expect(await Promise.all(waiting)).toEqual([false, false]);
    mutex.leave();
    expect(mutex.isTaken).toBe(false);
  });

  it('sends those who wait away', async () => {
    const mutex = new FifoMutex();
    mutex.tryEnter();
    const waiting = mutex.enter({ waitTime: Infinity });
    mutex.rejectWaiters(new Error('closed'));
    await expect(waiting).rejects.toThrow('closed');
    mutex.leave();
    expect(mutex.isTaken).toBe(false);
  });
});
