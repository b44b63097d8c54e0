import { LockBusyError, LockLostError, LockNotOwnedError } from './lock-error.js';
import { LockStrategy, type LockRequest, type StrategyLease } from './lock-strategy.js';
import { TransactionScope } from './transaction-scope.js';

describe('the locks of one transaction', () => {
  const request = (waitTime: number): LockRequest => ({
    name: 'stock:1',
    waitTime,
    ttl: 1_000,
    holdAtLeast: 0,
  });

  it('are not taken for a call that waited for its turn until the transaction had ended', async () => {
    const strategy = new Answering([granted(), granted()]);
    const scope = new TransactionScope();
    const first = await scope.acquire(strategy, 'default', request(0));
    const late = scope.acquire(strategy, 'default', request(5_000));
    await scope.end();
    await first.release();
    await expect(late).rejects.toBeInstanceOf(LockNotOwnedError);
    expect(strategy.asked).toHaveLength(1);
  });

  it('let nobody in again once they were lost', async () => {
    const loss = new LockLostError('it was taken away', { key: 'stock:1' });
    const strategy = new Answering([granted(AbortSignal.abort(loss)), granted()]);
    const scope = new TransactionScope();
    await (await scope.acquire(strategy, 'default', request(0))).release();
    await expect(scope.acquire(strategy, 'default', request(0))).rejects.toBe(loss);
    expect(scope.loss).toBe(loss);
  });

  it('are waited for as long as the call has left after the wait for its turn', async () => {
    const busy = new LockBusyError({ key: 'stock:1', waited: 30 });
    const refused = new Promise<StrategyLease>((_, reject) => setTimeout(() => reject(busy), 30));
    const strategy = new Answering([refused, granted()]);
    const scope = new TransactionScope();
    const first = scope.acquire(strategy, 'default', request(30));
    const second = scope.acquire(strategy, 'default', request(1_000));
    await expect(first).rejects.toBe(busy);
    await second;
    expect(strategy.asked[1]?.waitTime).toBeLessThan(980);
  });
});

/** Answers one wish after another, and writes them down. */
class Answering extends LockStrategy {
  override readonly traits = { scope: 'shared', order: 'none', fencing: false } as const;
  readonly asked: LockRequest[] = [];

  constructor(private readonly answers: readonly Promise<StrategyLease>[]) {
    super();
  }

  override acquire(request: LockRequest): Promise<StrategyLease> {
    const answer = this.answers[this.asked.push(request) - 1];
    return answer ?? Promise.reject(new Error('asked once too often'));
  }
}

function granted(signal = new AbortController().signal): Promise<StrategyLease> {
  const done = (): Promise<void> => Promise.resolve();
  return Promise.resolve({
    name: 'stock:1',
    token: undefined,
    signal,
    remaining: 1_000,
    extend: done,
    release: done,
  });
}
