import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '../../../../../../test/support/servers/redis-server';
import {
  instanceNamed,
  ScriptBench,
  seqsIn,
  tokenIn,
} from '../../../../../../test/support/redis/script-bench';

const [A, B, C, D] = ['A', 'B', 'C', 'D'].map(instanceNamed) as [string, string, string, string];

describe('the scripts as files', () => {
  const files = readdirSync(__dirname).filter((file) => file.endsWith('.lua'));

  it('are what scripts.generated.ts holds', () => {
    execFileSync(process.execPath, [join(__dirname, 'generate-scripts.mjs'), '--check']);
  });

  it.each(files)('%s uses the keys and arguments that its header names', (file) => {
    const text = readFileSync(join(__dirname, file), 'utf8').replace(/^-- @include (\S+)$/gm, (_, name) =>
      readFileSync(join(__dirname, 'includes', `${name}.lua`), 'utf8'),
    );
    const header = text.slice(0, text.search(/^[^-\n]/m));
    const code = text.replace(/^\s*--.*$/gm, '');
    expect(indexes(header)).toEqual(indexes(code));
    expect(header).toMatch(/^-- Returns /m);
  });

  function indexes(text: string): string[] {
    return [...new Set(text.match(/\b(?:KEYS|ARGV)\[\d\]/g))].sort();
  }
});

describe('the scripts', () => {
  let server: RedisServer;
  let redis: Redis;
  let bench: ScriptBench;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  beforeEach(() => (bench = new ScriptBench(redis)));

  afterEach(() => bench.end());

  describe('acquire', () => {
    it('grants a free lock with a token that is the time, in microseconds', async () => {
      const before = await bench.now();
      const reply = await bench.acquire(A, '1:1000');
      expect(reply[0]).toBe('G');
      expect(Math.floor(Number(tokenIn(reply)) / 1_000)).toBeGreaterThanOrEqual(before);
      expect(Number(tokenIn(reply))).toBeLessThan(Number.MAX_SAFE_INTEGER);
    });

    it('goes on above a counter that is ahead of the clock', async () => {
      await redis.set(bench.keys[0], '9000000000000000');
      expect(tokenIn(await bench.acquire(A, '1:1000'))).toBe('9000000000000001');
      expect(await bench.acquire(B, '1:1000')).toMatch(/;1:9000000000000002$/);
    });

    it('queues behind a holder, with rising tickets', async () => {
      await bench.acquire(A, '1:1000');
      const first = await bench.acquire(B, '1:1000');
      const second = await bench.acquire(C, '1:1000');
      expect([first[0], second[0]]).toEqual(['Q', 'Q']);
      expect(await bench.queue()).toEqual([`${B}1:1000:1`, `${C}1:1000:1`]);
      expect(first.slice(-16) < second.slice(-16)).toBe(true);
    });

    it('gives a place that is queued already its old ticket', async () => {
      await bench.acquire(A, '1:1000');
      const first = await bench.acquire(B, '1:1000');
      await bench.acquire(C, '1:1000');
      const again = await bench.acquire(B, '1:1000');
      expect(again.slice(-18)).toBe(first.slice(-18));
      expect(await redis.zcard(bench.keys[1])).toBe(2);
    });

    it('gives a place that holds the lock the same grant again, and counts its lease from now', async () => {
      const first = await bench.acquire(A, '1:1000');
      while ((await bench.now()) < Number(first.slice(2, 15)) + 20) await Promise.resolve();
      const again = await bench.acquire(A, '1:1000');
      expect([again[0], tokenIn(again)]).toEqual(['G', tokenIn(first)]);
      expect(Number(again.slice(15, 28))).toBeGreaterThanOrEqual(Number(first.slice(15, 28)) + 20);
    });

    it('does not shorten a lease when it gives the same grant again', async () => {
      const first = await bench.acquire(A, '1:1000');
      const extended = await bench.extend(A, tokenIn(first), 60_000);
      const again = await bench.acquire(A, '1:1000');
      expect(again.slice(15, 28)).toBe(extended.slice(15, 28));
    });

    it('leaves nothing behind when it does not want to wait', async () => {
      await bench.acquire(A, '1:1000');
      const reply = await bench.tryOnce(B, '1:1000');
      expect(reply[0]).toBe('B');
      expect(reply.endsWith(`0;${A}`)).toBe(true);
      expect(await bench.queue()).toEqual([]);
    });

    it('does not let a call that does not wait pass the queue when the lease has lapsed', async () => {
      const messages = await bench.listen(B);
      await bench.acquire(A, '1:20');
      await bench.acquire(B, '1:1000');
      await bench.lapse();
      expect((await bench.tryOnce(C, '1:1000'))[0]).toBe('B');
      expect(await messages()).toHaveLength(1);
    });

    it('gives a lapsed lock to a call that does not wait when all who wait are dead', async () => {
      await bench.acquire(A, '1:20');
      await bench.acquire(B, '1:1000');
      await bench.lapse();
      const reply = await bench.tryOnce(C, '7:1000');
      expect([reply[0], seqsIn(reply)]).toEqual(['G', '7']);
    });

    it('takes back two hundred places at once, each at its old ticket', async () => {
      await bench.acquire(A, '1:1000');
      const old = Number((await bench.acquire(B, '1:1000')).slice(-16));
      await bench.acquire(C, '1:1000');
      const places = Array.from({ length: 200 }, (_, seq) => `${seq + 1}:1000:1:${old + seq}`);
      await bench.cancel(B, '1:1000:1');
      const reply = await bench.acquire(B, places.join(','));
      expect(reply.split(';')[1]?.split(',')).toHaveLength(200);
      expect((await bench.queue())[0]).toBe(`${B}1:1000:1`);
    });
  });

  describe('release', () => {
    it('frees a lock that nobody waits for, down to its counter', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      expect(await bench.release(A, token)).toBe('R-');
      expect(await redis.get(bench.keys[0])).toBe(token);
    });

    it('is no matter when it comes late: the next holder is not harmed', async () => {
      const first = tokenIn(await bench.acquire(A, '1:20'));
      await bench.lapse();
      await bench.acquire(B, '1:1000');
      const state = await redis.get(bench.keys[0]);
      expect(await bench.release(A, first)).toBe('N-');
      expect(await redis.get(bench.keys[0])).toBe(state);
    });

    it('hands the lock to the next instance, with all its places that come next', async () => {
      const messages = await bench.listen(B);
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      for (const place of ['1:1000', '2:1000']) await bench.acquire(B, place);
      await bench.acquire(C, '1:1000');
      await bench.acquire(B, '3:1000');
      expect(await bench.release(A, token)).toBe('R-');
      expect(await messages()).toHaveLength(1);
      expect((await messages())[0]).toMatch(/1000:1;1,2 lock:\{stock:1\}$/);
      expect(await bench.queue()).toEqual([`${C}1:1000:1`, `${B}3:1000:1`]);
    });

    it('ends a run where the terms change', async () => {
      const messages = await bench.listen(B);
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await bench.acquire(B, '1:1000');
      await bench.acquire(B, '2:2000');
      await bench.release(A, token);
      expect((await messages())[0]).toMatch(/1000:1;1 lock/);
    });

    it('covers at most 128 places with one grant, and gives each a token', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      const places = Array.from({ length: 150 }, (_, seq) => `${seq + 2}:1000`);
      await bench.acquire(A, places.join(','));
      const grant = await bench.release(A, token);
      expect(seqsIn(grant).split(',')).toHaveLength(128);
      const next = await bench.release(A, tokenIn(grant));
      expect(Number(tokenIn(next))).toBeGreaterThanOrEqual(Number(tokenIn(grant)) + 128);
      expect(seqsIn(next).split(',')).toHaveLength(22);
    });

    it('passes over instances without a subscriber', async () => {
      const messages = await bench.listen(D);
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      for (const dead of [B, C, B, C, B])
        await bench.acquire(dead, `${Math.trunc(Math.random() * 1e9)}:1000`);
      await bench.acquire(D, '1:1000');
      await bench.release(A, token);
      expect(await messages()).toHaveLength(1);
      expect(await bench.queue()).toEqual([]);
    });

    it('is not misled by a tool that listens to everything', async () => {
      const tool = redis.duplicate();
      await tool.psubscribe('*');
      const messages = await bench.listen(C);
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await bench.acquire(B, '1:1000');
      await bench.acquire(C, '1:1000');
      await bench.release(A, token);
      tool.disconnect();
      expect(await messages()).toHaveLength(1);
    });

    it('keeps the lock closed for as long as it is told', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await bench.acquire(B, '1:1000');
      await bench.listen(B);
      expect(await bench.release(A, token, '50')).toBe('R-');
      expect((await bench.sweep(B, '1:1000:1'))[0]).toBe('W');
      await bench.lapse();
      expect(seqsIn(await bench.sweep(B, '1:1000:1'))).toBe('1');
    });

    it('works when the memory is full', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await bench.acquire(B, '1:1000');
      const messages = await bench.listen(B);
      await redis.config('SET', 'maxmemory', '1');
      try {
        await expect(bench.acquire(C, '1:1000')).rejects.toThrow('OOM');
        expect(await bench.release(A, token)).toBe('R-');
        expect(await messages()).toHaveLength(1);
      } finally {
        await redis.config('SET', 'maxmemory', '0');
      }
    });
  });

  describe('extend', () => {
    it('prolongs the grant, and never shortens it', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      const long = await bench.extend(A, token, 5_000);
      const short = await bench.extend(A, token, 1_000);
      expect(long[0]).toBe('E');
      expect(short.slice(15)).toBe(long.slice(15));
      expect(await redis.pttl(bench.keys[0])).toBeGreaterThan(3_600_000);
    });

    it('does not bring back a lock that was released', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await bench.release(A, token);
      expect((await bench.extend(A, token, 1_000))[0]).toBe('X');
      expect((await bench.acquire(B, '1:1000'))[0]).toBe('G');
    });

    it('is refused after the lease, and when somebody else holds the lock', async () => {
      const token = tokenIn(await bench.acquire(A, '1:20'));
      await bench.lapse();
      expect((await bench.extend(A, token, 1_000))[0]).toBe('X');
      await bench.acquire(B, '1:1000');
      expect((await bench.extend(A, token, 1_000))[0]).toBe('X');
    });

    it('writes the grant again when Redis has lost it', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await redis.flushall();
      expect((await bench.extend(A, token, 1_000))[0]).toBe('E');
      expect((await bench.tryOnce(B, '1:1000'))[0]).toBe('B');
      expect(await bench.release(A, token)).toBe('R-');
    });

    it('writes no grant over a later holder', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await redis.flushall();
      await bench.acquire(B, '1:1000');
      expect((await bench.extend(A, token, 1_000))[0]).toBe('X');
    });
  });

  describe('cancel', () => {
    it('takes places out of the queue, and does nothing the second time', async () => {
      await bench.acquire(A, '1:1000');
      await bench.acquire(B, '1:1000,2:1000,3:1000');
      expect(await bench.cancel(B, '1:1000:1,3:1000:1')).toBe('C-');
      expect(await bench.cancel(B, '1:1000:1,3:1000:1')).toBe('C-');
      expect(await bench.queue()).toEqual([`${B}2:1000:1`]);
    });

    it('replies the grant that has overtaken it', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      await bench.acquire(B, '1:1000');
      await bench.listen(B);
      await bench.release(A, token);
      const reply = await bench.cancel(B, '1:1000:1');
      expect([reply[0], seqsIn(reply)]).toEqual(['G', '1']);
    });
  });

  describe('sweep', () => {
    it('says how long the holder has left, whether the place is queued, and whether the inbox is heard', async () => {
      await bench.acquire(A, '1:1000');
      await bench.acquire(B, '1:1000');
      expect((await bench.sweep(B, '1:1000:1')).slice(-2)).toBe('10');
      await bench.listen(B);
      expect((await bench.sweep(B, '2:1000:1')).slice(-2)).toBe('01');
    });

    it('clears 10 000 places of dead processes in bounded steps', async () => {
      const dead = Array.from({ length: 100 }, (_, number) => String(number).padStart(32, 'x'));
      await bench.acquire(A, '1:20');
      await bench.acquire(B, '1:1000');
      const fill = redis.pipeline();
      for (let at = 0; at < 10_000; at += 1) fill.zadd(bench.keys[1], at, `${dead[at % 100]}${at}:1000:1`);
      await fill.exec();
      await bench.lapse();
      let steps = 0;
      let reply: string;
      let most = 0;
      do {
        const before = await redis.zcard(bench.keys[1]);
        reply = await bench.sweep(B, '1:1000:1');
        most = Math.max(most, before - (await redis.zcard(bench.keys[1])));
        steps += 1;
      } while (reply[1] === '+' && steps < 1_000);
      expect([reply[0], seqsIn(reply)]).toEqual(['G', '1']);
      expect(most).toBeLessThanOrEqual(32 * 128 + 128);
      expect(steps).toBeGreaterThan(2);
    });

    it('loses one lease, not one for each place, to a machine that vanished without closing its sockets', async () => {
      await bench.listen(B);
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      for (let seq = 1; seq <= 20; seq += 1) {
        await bench.acquire(B, `${seq}:50`);
        await bench.acquire(C, `${seq}:60000`);
      }
      await bench.release(A, token);
      await bench.lapse();
      let grant = await bench.sweep(C, '1:60000:1');
      for (let seq = 1; seq <= 20; seq += 1) {
        expect([grant[0], seqsIn(grant)]).toEqual(['G', String(seq)]);
        grant = await bench.release(C, tokenIn(grant));
      }
    });

    it('suspects the old holder too when a newcomer finds the lock lapsed', async () => {
      const messages = await bench.listen(B);
      await bench.acquire(B, '1:20');
      await bench.acquire(B, '2:1000');
      await bench.lapse();
      const grant = await bench.acquire(C, '1:1000');
      expect([grant[0], seqsIn(grant)]).toEqual(['G', '1']);
      expect(await messages()).toEqual([]);
    });

    it('suspects nobody who has shown a sign of life', async () => {
      const messages = await bench.listen(B);
      await bench.acquire(B, '1:20');
      await bench.acquire(C, '1:1000');
      await bench.acquire(B, '2:1000');
      await bench.lapse();
      const grant = await bench.sweep(C, '1:1000:1');
      expect(await redis.get(bench.keys[0])).toContain(`;${B}`);
      await bench.sweep(B, '2:1000:1');
      await bench.release(C, tokenIn(grant));
      expect(await messages()).toHaveLength(1);
    });
  });

  describe('after Redis lost its data', () => {
    it('gives the lock to nobody for a lease when a ticket is presented that it never gave', async () => {
      const ticket = `${await bench.now()}000`;
      const future = String(Number(ticket) + 60_000_000);
      expect((await bench.acquire(B, `1:100:1:${future}`))[0]).toBe('Q');
      expect((await bench.tryOnce(C, '1:1000'))[0]).toBe('B');
      await bench.lapse();
      expect((await bench.sweep(B, '1:100:1'))[0]).toBe('G');
    });

    it('lets the old holder write its grant again meanwhile, with the waiters behind it in their old order', async () => {
      const token = tokenIn(await bench.acquire(A, '1:1000'));
      const first = (await bench.acquire(B, '1:1000')).slice(-16);
      const second = (await bench.acquire(C, '1:1000')).slice(-16);
      await redis.flushall();
      const messages = await bench.listen(B);
      await bench.acquire(C, `1:1000:1:${second}`);
      expect((await bench.extend(A, token, 1_000))[0]).toBe('E');
      await bench.acquire(B, `1:1000:1:${first}`);
      await bench.release(A, token);
      expect(await messages()).toHaveLength(1);
      expect(await bench.queue()).toEqual([`${C}1:1000:1`]);
    });

    it('gives no lock that was not used since the server started, while that is younger than a lease', async () => {
      const start = `${await bench.now()}000`;
      expect((await bench.acquire(A, '1:100', start))[0]).toBe('Q');
      await bench.lapse();
      expect((await bench.sweep(A, '1:100:1'))[0]).toBe('G');
    });

    it('gives tokens that go on rising', async () => {
      const before = tokenIn(await bench.acquire(A, '1:1000'));
      await redis.flushall();
      expect(tokenIn(await bench.acquire(A, '2:1000')) > before).toBe(true);
    });
  });

  it('leaves only a counter with an end behind when all is released', async () => {
    const token = tokenIn(await bench.acquire(A, '1:1000'));
    await bench.acquire(B, '1:1000');
    await bench.cancel(B, '1:1000:1');
    await bench.release(A, token);
    expect(await redis.keys('*')).toEqual([bench.keys[0]]);
    expect(await redis.strlen(bench.keys[0])).toBe(16);
    expect(await redis.pttl(bench.keys[0])).toBeGreaterThan(0);
  });
});
