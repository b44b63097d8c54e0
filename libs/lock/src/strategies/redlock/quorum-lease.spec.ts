import { Logger } from '@nestjs/common';
import { eventually } from '../../../../../test/support/eventually';
import { blockFor, Masters, outcome, wish } from '../../../../../test/support/redlock/masters';
import type { LockStrategy, StrategyLease } from '../../locking/lock-strategy.js';

Logger.overrideLogger(false);

const TTL = 600;

describe('a lease of quorumLock', () => {
  let masters: Masters;
  let lock: LockStrategy;
  let other: LockStrategy;

  const begin = async (count: number): Promise<void> => {
    masters = await Masters.start(count);
    lock = await masters.lock({ shutdownTimeout: 0 });
    other = await masters.lock({ shutdownTimeout: 0 });
  };
  beforeEach(() => begin(3));
  afterEach(() => masters.stop());

  it('is renewed for as long as it is held, and not after its release', async () => {
    const request = wish({ ttl: TTL });
    const lease = await lock.acquire(request);
    expect(await outcome(other.acquire({ ...request, waitTime: 2 * TTL }))).toBe('LOCK_BUSY');
    expect(lease.signal.aborted).toBe(false);
    expect(lease.remaining).toBeGreaterThan(0);
    await lease.release();
    const commands = await scriptsRun(masters);
    const next = await other.acquire({ ...request, ttl: 60_000, waitTime: TTL });
    await next.release();
    await new Promise((resolve) => setTimeout(resolve, TTL));
    // One acquire and one release of the other; a renewal of the first would be one more.
    expect((await scriptsRun(masters)) - commands).toBe(2);
  });

  it('renews without haste: three times a ttl, also when no master answers', async () => {
    const lease = await lock.acquire(wish({ ttl: 300 }));
    const before = await scriptsRun(masters);
    const begun = performance.now();
    await eventually('it was renewed for a while', () => performance.now() - begun > 1_000);
    const renewals = (await scriptsRun(masters)) - before;
    expect(renewals).toBeGreaterThanOrEqual(3);
    expect(renewals).toBeLessThanOrEqual((performance.now() - begun) / 100 + 1);
    await lease.release();
  });

  it('ends for its holder before any master of its majority forgets it', async () => {
    const lease = await lock.acquire(wish({ ttl: TTL }));
    for (let look = 0; look < 20; look += 1) {
      const deadline = Date.now() + lease.remaining;
      // A renewal in between lets the masters remember it longer, never shorter.
      expect(deadline).toBeLessThan(Math.min(...(await endsOf(masters, lease.name))));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    masters.servers.forEach((server) => server.pause());
    const forgottenAt = performance.now() + TTL;
    await lostAt(lease);
    expect(performance.now()).toBeLessThan(forgottenAt);
    masters.servers.forEach((server) => server.resume());
    expect(lease.signal.reason).toMatchObject({ code: 'LOCK_LOST', key: lease.name, strategy: 'quorum' });
    expect(lease.remaining).toBe(0);
  });

  it('survives a renewal that fails', async () => {
    const lease = await lock.acquire(wish({ ttl: 1_500 }));
    masters.servers[0]?.pause();
    masters.servers[1]?.pause();
    // The renewal after 500 ms gets one vote of three in the 250 ms that the masters have.
    await eventually('the renewal has failed', () => lease.remaining < 650);
    masters.servers[0]?.resume();
    await eventually('it was tried again', () => lease.remaining > 1_000);
    masters.servers[1]?.resume();
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
    await masters.untilFree(lease.name);
  });

  it('is lost at its deadline when the majority stays away, and its late release harms nobody', async () => {
    const request = wish({ ttl: TTL });
    const lease = await lock.acquire(request);
    masters.servers[0]?.pause();
    masters.servers[1]?.pause();
    await lostAt(lease);
    await lease.release();
    await expect(lease.extend(1_000)).rejects.toBe(lease.signal.reason);
    masters.servers[0]?.resume();
    masters.servers[1]?.resume();
    const next = await other.acquire({ ...request, waitTime: 5_000 });
    const holders = await masters.values(request.name);
    await lease.release();
    expect(await masters.values(request.name)).toEqual(holders);
    expect(next.signal.aborted).toBe(false);
    await next.release();
  });

  it('is lost at once when a majority has given it away, and leaves nothing on the rest', async () => {
    const lease = await lock.acquire(wish({ ttl: 1_500 }));
    await masters.occupy(lease.name, ['somebody', 'somebody', null]);
    await eventually('the loss is noticed', () => lease.signal.aborted, 1_200);
    await expect(lease.extend(1_000)).rejects.toBe(lease.signal.reason);
    await lease.release();
    await eventually('the third is free', async () => (await masters.values(lease.name))[2] === null);
    expect(await masters.values(lease.name)).toEqual(['somebody', 'somebody', null]);
  });

  it('is not lost by one of three that refuses it', async () => {
    const lease = await lock.acquire(wish({ ttl: 300 }));
    await masters.occupy(lease.name, ['somebody', null, null]);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(lease.signal.aborted).toBe(false);
    expect(lease.remaining).toBeGreaterThan(0);
    await lease.release();
    expect(await masters.values(lease.name)).toEqual(['somebody', null, null]);
  });

  it('is not lost by one that refuses it while another is away, for nobody else can have a majority', async () => {
    const lease = await lock.acquire(wish({ ttl: 1_500 }));
    await masters.occupy(lease.name, ['somebody', null, null]);
    masters.servers[1]?.pause();
    await eventually('the renewal has failed', () => lease.remaining < 650);
    expect(lease.signal.aborted).toBe(false);
    masters.servers[1]?.resume();
    await eventually('it was tried again', () => lease.remaining > 1_000);
    await lease.release();
  });

  it('is written again to masters that forgot it, so that all of them can be restarted one after the other', async () => {
    const lease = await lock.acquire(wish({ ttl: TTL }));
    const [value] = await masters.values(lease.name);
    for (const [index, server] of masters.servers.entries()) {
      await server.restart({ keepData: false });
      await eventually(
        `master ${index} has it again`,
        async () => (await masters.values(lease.name))[index] === value,
      );
    }
    expect(lease.signal.aborted).toBe(false);
    expect(await outcome(other.acquire(wish({ name: lease.name })))).toBe('LOCK_BUSY');
    await lease.release();
    await masters.untilFree(lease.name);
  });

  it('is extended on the masters, and never shortened, neither by an extension nor by a renewal', async () => {
    const lease = await lock.acquire(wish({ ttl: 300 }));
    await lease.extend(60_000);
    expect(lease.remaining).toBeGreaterThan(59_900);
    expect(Math.min(...(await lifetimesOf(masters, lease.name)))).toBeGreaterThan(59_900);
    await lease.extend(10);
    const renewed = await scriptsRun(masters);
    await eventually('it was renewed', async () => (await scriptsRun(masters)) > renewed);
    expect(lease.remaining).toBeGreaterThan(58_000);
    expect(Math.min(...(await lifetimesOf(masters, lease.name)))).toBeGreaterThan(58_000);
    await lease.release();
    await expect(lease.extend(10)).rejects.toMatchObject({ code: 'LOCK_NOT_OWNED' });
    await masters.untilFree(lease.name);
  });

  it('counts an extension from when it was sent, not from when its answers were read', async () => {
    const lease = await lock.acquire(wish({ ttl: 60_000 }));
    const extension = lease.extend(100_000);
    await blockFor(400);
    await extension;
    expect(lease.remaining).toBeLessThan(99_700);
    await lease.release();
  });

  it('refuses an extension that is no number of milliseconds', async () => {
    const lease = await lock.acquire(wish());
    await expect(lease.extend(NaN)).rejects.toMatchObject({ code: 'LOCK_CONFIGURATION' });
    await expect(lease.extend(Infinity)).rejects.toMatchObject({ code: 'LOCK_CONFIGURATION' });
    await lease.release();
  });

  it('says that the masters are away when they can not be asked for an extension, and is held until its end', async () => {
    const lease = await lock.acquire(wish({ ttl: 3_000 }));
    masters.servers[0]?.pause();
    masters.servers[1]?.pause();
    await expect(lease.extend(10_000)).rejects.toMatchObject({ code: 'LOCK_UNAVAILABLE' });
    expect(lease.signal.aborted).toBe(false);
    expect(lease.remaining).toBeGreaterThan(0);
  });

  it('is not brought back by an extension that is under way at its release', async () => {
    for (let round = 0; round < 100; round += 1) {
      const lease = await lock.acquire(wish({ ttl: 60_000 }));
      const extension = outcome(lease.extend(120_000));
      if (round % 2 === 1) await Promise.resolve();
      await lease.release();
      expect(['granted', 'LOCK_NOT_OWNED']).toContain(await extension);
      expect(await masters.values(lease.name)).toEqual([null, null, null]);
    }
  });

  it('keeps others out for holdAtLeast after its release, not longer', async () => {
    const request = wish({ holdAtLeast: 500, ttl: 60_000 });
    const takenAt = performance.now();
    const lease = await lock.acquire(request);
    await lease.release();
    expect(await outcome(lock.acquire({ ...request, holdAtLeast: 0 }))).toBe('LOCK_BUSY');
    const next = await other.acquire({ ...request, holdAtLeast: 0, waitTime: 5_000 });
    expect(performance.now() - takenAt).toBeGreaterThanOrEqual(500);
    expect(performance.now() - takenAt).toBeLessThan(2_500);
    await next.release();
  });

  it('keeps others out for holdAtLeast when the application of its holder ends', async () => {
    const request = wish({ holdAtLeast: 60_000, ttl: 500 });
    const released = await lock.acquire(request);
    await released.release();
    const held = await lock.acquire({ ...wish({ holdAtLeast: 60_000, ttl: 500 }) });
    await lock.close?.();
    for (const { name } of [released, held]) {
      expect(await outcome(other.acquire(wish({ name })))).toBe('LOCK_BUSY');
      expect(Math.min(...(await lifetimesOf(masters, name)))).toBeGreaterThan(55_000);
    }
  });

  it('covers holdAtLeast from the first moment, as its holder may die at once', async () => {
    const lease = await lock.acquire(wish({ holdAtLeast: 60_000, ttl: 500 }));
    expect(Math.min(...(await lifetimesOf(masters, lease.name)))).toBeGreaterThan(59_000);
  });
});

/** How many scripts the third master has run: it is never away. */
async function scriptsRun(masters: Masters): Promise<number> {
  const [, , server] = masters.servers;
  if (server === undefined) throw new Error('There must be three masters.');
  const stats = await masters.client(server).info('commandstats');
  return Number(/cmdstat_eval:calls=(\d+)/.exec(stats)?.[1] ?? 0);
}

/** Milliseconds until each master forgets the lock. */
function lifetimesOf(masters: Masters, name: string): Promise<number[]> {
  return Promise.all(masters.servers.map((server) => masters.client(server).pttl(`quorum-lock:${name}`)));
}

/** When each master forgets the lock, by the clock of this machine. */
async function endsOf(masters: Masters, name: string): Promise<number[]> {
  const ends = masters.servers.map((server) => masters.client(server).eval(END_OF, 1, `quorum-lock:${name}`));
  return (await Promise.all(ends)).map(Number);
}

const END_OF = `
  local time = redis.call('time')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + redis.call('pttl', KEYS[1]))
`;

function lostAt(lease: StrategyLease): Promise<void> {
  return eventually('the signal aborts', () => lease.signal.aborted);
}
