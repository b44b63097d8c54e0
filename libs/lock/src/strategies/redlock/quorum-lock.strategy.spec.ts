import { Logger } from '@nestjs/common';
import { eventually } from '../../../../../test/support/eventually';
import { blockFor, Masters, outcome, wish } from '../../../../../test/support/redlock/masters';
import type { LockStrategy } from '../../locking/lock-strategy.js';

Logger.overrideLogger(false);

describe('quorumLock', () => {
  let masters: Masters;
  let lock: LockStrategy;
  let other: LockStrategy;

  const begin = async (count: number, options: { shutdownTimeout?: number } = {}): Promise<void> => {
    masters = await Masters.start(count);
    lock = await masters.lock({ shutdownTimeout: 100, ...options });
    other = await masters.lock({ shutdownTimeout: 100 });
  };
  afterEach(() => masters.stop());

  describe('while all masters are there', () => {
    beforeEach(() => begin(3));

    it('takes the lock on every master, keeps others out, and leaves nothing behind', async () => {
      const request = wish();
      const lease = await lock.acquire(request);
      const [value, ...others] = await masters.values(request.name);
      expect(value).toEqual(expect.any(String));
      expect(others).toEqual([value, value]);
      expect(lease.token).toBeUndefined();
      expect(await outcome(other.acquire(request))).toBe('LOCK_BUSY');
      expect(await outcome(lock.acquire(request))).toBe('LOCK_BUSY');
      await lease.release();
      await masters.untilFree(request.name);
      expect(lease.signal.aborted).toBe(false);
    });

    it('says what the masters know: who holds, and who of this process waits', async () => {
      const request = wish();
      expect(await lock.inspect?.(request.name)).toMatchObject({ held: false, waiters: [] });
      const lease = await lock.acquire(request);
      const waiting = other.acquire({ ...request, waitTime: 10_000 });
      const [value] = await masters.values(request.name);
      expect(await other.inspect?.(request.name)).toMatchObject({
        held: true,
        holder: `the value ${value}`,
        waiters: [`waiter 1 of process ${process.pid}`],
      });
      await lease.release();
      await (await waiting).release();
    });

    it('takes a lock away by force: the holder hears of it, also in the same process, and harms nobody', async () => {
      const request = wish();
      const lease = await lock.acquire(request);
      expect(await lock.forceRelease?.(request.name)).toBe(true);
      expect(lease.signal.aborted).toBe(true);
      const next = await other.acquire(request);
      await lease.release();
      expect(await outcome(lock.acquire(request))).toBe('LOCK_BUSY');
      await next.release();
      await masters.untilFree(request.name);
      expect(await other.forceRelease?.(request.name)).toBe(false);
    });

    it('asks the masters no more often, however many callers of a process wait', async () => {
      const request = wish({ waitTime: 30_000, ttl: 30_000 });
      const lease = await lock.acquire(request);
      const aborts = Array.from({ length: 50 }, () => new AbortController());
      const before = await evalsOf(masters);
      const waiting = aborts.map(({ signal }) => outcome(other.acquire({ ...request, signal })));
      // At least 20 ms between tries, each of two scripts.
      const begun = performance.now();
      await eventually('ten tries were made', async () => (await evalsOf(masters)) - before >= 20);
      const tries = ((await evalsOf(masters)) - before) / 2;
      expect(tries).toBeLessThanOrEqual((performance.now() - begun) / 20 + 2);
      for (const abort of aborts) abort.abort(Object.assign(new Error('enough'), { code: 'ENOUGH' }));
      expect(new Set(await Promise.all(waiting))).toEqual(new Set(['ENOUGH']));
      await lease.release();
    });

    it('gives other processes time to ask, now and then, when its own callers always want the lock', async () => {
      const hog = await masters.lock({ retryDelay: 200, retryJitter: 0 });
      const request = wish({ waitTime: 30_000, ttl: 10_000 });
      let lastTurn = performance.now();
      let longestGap = 0;
      const callers = Array.from({ length: 3 }, async () => {
        while (longestGap < 200) {
          const lease = await hog.acquire(request);
          longestGap = Math.max(longestGap, performance.now() - lastTurn);
          await new Promise((resolve) => setTimeout(resolve, 5));
          lastTurn = performance.now();
          await lease.release();
        }
      });
      await Promise.all(callers);
    });

    it('gives up at the end of the wait time, with a last try then', async () => {
      const request = wish({ waitTime: 200 });
      const lease = await lock.acquire(request);
      const askedAt = performance.now();
      expect(await outcome(other.acquire(request))).toBe('LOCK_BUSY');
      const waited = performance.now() - askedAt;
      expect(waited).toBeGreaterThanOrEqual(199);
      expect(waited).toBeLessThan(1_000);
      await lease.release();
    });

    it('parts two calls that each hold what the other waits for: the shorter wait ends, the other goes on', async () => {
      const [left, right] = [wish(), wish()];
      const leases = [await lock.acquire(left), await other.acquire(right)] as const;
      const impatient = outcome(lock.acquire({ ...right, waitTime: 300 }));
      const patient = other.acquire({ ...left, waitTime: 20_000 });
      expect(await impatient).toBe('LOCK_BUSY');
      await leases[0].release();
      await (await patient).release();
      await leases[1].release();
      await masters.untilFree(left.name);
      await masters.untilFree(right.name);
    });

    it('ends the wait at an abort, of those who ask and of those behind them, and gives them nothing later', async () => {
      const request = wish({ waitTime: 60_000 });
      const lease = await lock.acquire(request);
      const reason = new Error('enough');
      for (const strategy of [lock, other, other]) {
        const abort = new AbortController();
        const waiting = [1, 2].map(() => strategy.acquire({ ...request, signal: abort.signal }));
        const ended = Promise.allSettled(waiting);
        await new Promise((resolve) => setImmediate(resolve));
        abort.abort(reason);
        expect(await ended).toEqual([
          { status: 'rejected', reason },
          { status: 'rejected', reason },
        ]);
      }
      await expect(lock.acquire({ ...request, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      await lease.release();
      await masters.untilFree(request.name);
    });

    it('gives back what arrives after the abort', async () => {
      for (let round = 0; round < 20; round += 1) {
        const abort = new AbortController();
        const request = wish({ signal: abort.signal, ttl: 60_000 });
        const taking = outcome(lock.acquire(request));
        for (let turn = 0; turn < round; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        abort.abort(Object.assign(new Error('enough'), { code: 'ENOUGH' }));
        if ((await taking) === 'ENOUGH') await masters.untilFree(request.name);
      }
    });

    it('does not hand out a lease that was half over when the answers were read', async () => {
      const request = wish({ ttl: 600 });
      const taking = lock.acquire(request).then(
        () => new Error('granted'),
        (thrown: Error) => thrown,
      );
      await blockFor(400);
      const error = await taking;
      expect(error).toMatchObject({ code: 'LOCK_UNAVAILABLE' });
      expect(error.message).toMatch(/answers of its nodes took \d+ ms.*longer ttl/);
      await masters.untilFree(request.name);
    });

    it('counts the lease from when it was asked for, not from when the answers were read', async () => {
      const taking = lock.acquire(wish({ ttl: 2_000 }));
      await blockFor(400);
      const lease = await taking;
      expect(lease.remaining).toBeLessThanOrEqual(1_600);
      await lease.release();
    });

    it('says busy, not unavailable, when the votes are split for good', async () => {
      const { name } = wish();
      await masters.occupy(name, ['one', 'two', 'three']);
      expect(await outcome(lock.acquire(wish({ name })))).toBe('LOCK_BUSY');
      expect(await masters.values(name)).toEqual(['one', 'two', 'three']);
      expect(await lock.inspect?.(name)).toMatchObject({ held: false });
    });

    it('is not busy for who tries once, when others who did the same split the votes and gave up', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { name } = wish();
        await masters.occupy(name, ['one', 'two', 'three'], 10);
        const lease = await lock.acquire(wish({ name }));
        await lease.release();
      }
    });

    it('sends waiters away at the shut-down, waits for holders, and refuses new calls', async () => {
      const patient = await masters.lock({ shutdownTimeout: 10_000 });
      const request = wish({ waitTime: 60_000 });
      const lease = await patient.acquire(request);
      const foreign = wish({ waitTime: 60_000 });
      await masters.occupy(foreign.name, ['one', 'one', 'one']);
      const waiting = [request, foreign, foreign].map((wanted) => outcome(patient.acquire(wanted)));
      await new Promise((resolve) => setImmediate(resolve));
      const drained = patient.drain?.();
      expect(await Promise.all(waiting)).toEqual(Array(3).fill('LOCK_SHUTDOWN'));
      expect(await outcome(patient.acquire(wish()))).toBe('LOCK_SHUTDOWN');
      let isDrained = false;
      void drained?.then(() => (isDrained = true));
      await new Promise((resolve) => setImmediate(resolve));
      expect(isDrained).toBe(false);
      await lease.release();
      await drained;
    });

    it('gives back at the end what is still held, and tells its holder first', async () => {
      const request = wish();
      const lease = await lock.acquire(request);
      await lock.drain?.();
      expect(lease.signal.aborted).toBe(false);
      await lock.close?.();
      expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
      expect(lease.remaining).toBe(0);
      await masters.untilFree(request.name);
    });
  });

  describe('while one of three masters is frozen', () => {
    beforeEach(async () => {
      await begin(3);
      masters.servers[0]?.pause();
    });

    it('goes on with the other two, and says busy when it is busy', async () => {
      const request = wish();
      for (let round = 0; round < 5; round += 1) {
        const lease = await lock.acquire(request);
        expect(await outcome(other.acquire(request))).toBe('LOCK_BUSY');
        await lease.release();
      }
    });

    it('does not wait for it again and again', async () => {
      expect(await outcome(lock.acquire(wish()))).toBe('granted');
      const { name } = wish();
      // Refused by one, granted by the other: the vote of the third would count.
      await masters.occupy(name, [null, 'somebody', null]);
      await outcome(lock.acquire(wish({ name })));
      const begun = performance.now();
      for (let round = 0; round < 3; round += 1) await outcome(lock.acquire(wish({ name })));
      expect(performance.now() - begun).toBeLessThan(3 * 250);
    });

    it('takes back what it lets in when it thaws', async () => {
      const { name } = wish();
      await masters.occupy(name, [null, 'somebody', 'somebody']);
      expect(await outcome(lock.acquire(wish({ name, ttl: 60_000 })))).toBe('LOCK_BUSY');
      const lease = await other.acquire(wish({ ttl: 60_000 }));
      await lease.release();
      masters.servers[0]?.resume();
      await masters.untilFree(name, masters.servers.slice(0, 1));
      await masters.untilFree(lease.name);
    });

    it('is closed all the same', async () => {
      await lock.acquire(wish());
      const begun = performance.now();
      await masters.closeLocks();
      expect(performance.now() - begun).toBeLessThan(5_000);
    });
  });

  describe('while two of three masters are frozen', () => {
    beforeEach(async () => {
      await begin(3);
      masters.servers[0]?.pause();
      masters.servers[1]?.pause();
    });

    it('is unavailable, never busy, within the wait time and the limit of a node, and names the nodes', async () => {
      const request = wish({ waitTime: 200 });
      const begun = performance.now();
      const error: Error = await lock.acquire(request).then(
        () => new Error('granted'),
        (thrown: Error) => thrown,
      );
      expect(performance.now() - begun).toBeLessThan(1_500);
      expect(error).toMatchObject({ code: 'LOCK_UNAVAILABLE', key: request.name, strategy: 'quorum' });
      for (const { port } of masters.servers.slice(0, 2))
        expect(error.message).toContain(`127.0.0.1:${port}`);
      await expect(lock.inspect?.(request.name)).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
      await expect(lock.forceRelease?.(request.name)).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
    });

    it('is unavailable for a caller behind another one of its process too', async () => {
      const { name } = wish();
      const first = outcome(lock.acquire(wish({ name, waitTime: 1_000 })));
      const behind = [0, 50, 300].map((waitTime) => outcome(lock.acquire(wish({ name, waitTime }))));
      expect(await Promise.all([first, ...behind])).toEqual(Array(4).fill('LOCK_UNAVAILABLE'));
    });

    it('grants to those who still wait when they are back, and nothing to those who gave up', async () => {
      const gone = wish({ ttl: 60_000 });
      expect(await outcome(lock.acquire(gone))).toBe('LOCK_UNAVAILABLE');
      const waiting = lock.acquire(wish({ waitTime: 20_000 }));
      masters.servers[0]?.resume();
      masters.servers[1]?.resume();
      await (await waiting).release();
      await masters.untilFree(gone.name);
    });

    it('stops at an abort at once, though no master answers', async () => {
      const abort = new AbortController();
      const waiting = outcome(lock.acquire(wish({ waitTime: 60_000, signal: abort.signal })));
      const begun = performance.now();
      abort.abort(Object.assign(new Error('enough'), { code: 'ENOUGH' }));
      expect(await waiting).toBe('ENOUGH');
      expect(performance.now() - begun).toBeLessThan(200);
    });
  });

  describe('with five masters', () => {
    beforeEach(() => begin(5));

    it('goes on while two of them are dead, says busy with their votes missing, and is unavailable without a third', async () => {
      await masters.servers[0]?.kill();
      await masters.servers[1]?.kill();
      const request = wish();
      const lease = await lock.acquire(request);
      expect(await outcome(other.acquire(request))).toBe('LOCK_BUSY');
      await lease.release();
      // Whoever this is may have the two that are dead, or may not: the other three could not let anybody else in.
      await masters.occupy(request.name, [null, null, 'somebody', null, null]);
      expect(await outcome(lock.acquire(request))).toBe('LOCK_BUSY');
      await masters.servers[4]?.kill();
      expect(await outcome(lock.acquire(request))).toBe('LOCK_UNAVAILABLE');
    });

    it('works with one frozen and one dead', async () => {
      masters.servers[0]?.pause();
      await masters.servers[1]?.kill();
      const request = wish();
      for (let round = 0; round < 3; round += 1) {
        const lease = await lock.acquire(request);
        expect(await outcome(other.acquire(request))).toBe('LOCK_BUSY');
        await lease.release();
      }
    });
  });
});

/** How many scripts the first master has run. */
async function evalsOf(masters: Masters): Promise<number> {
  const [server] = masters.servers;
  if (server === undefined) throw new Error('There must be a master.');
  const stats = await masters.client(server).info('commandstats');
  return Number(/cmdstat_eval:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}
