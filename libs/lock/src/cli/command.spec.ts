import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { eventually } from '../../../../test/support/eventually';
import { startRedis, type RedisServer } from '../../../../test/support/servers/redis-server';
import { redisLock } from '../strategies/redis/index.js';
import { SCRIPTS } from '../strategies/redis/scripts/scripts.generated.js';
import type { LockInspection, LockRequest, LockStrategy } from '../locking/lock-strategy.js';
import { runCommand, type Surroundings } from './command.js';
import { ExitCode } from './exit-code.js';

const REQUEST: LockRequest = { name: 'stock:42', waitTime: 60_000, ttl: 30_000, holdAtLeast: 0 };
const PASSWORD = 'open-sesame';

interface Outcome {
  readonly code: ExitCode;
  readonly printed: string;
  readonly said: string;
}

describe('the command', () => {
  let server: RedisServer;
  let redis: Redis;
  let url: string;
  let holder: LockStrategy;
  let others: LockStrategy;

  beforeAll(async () => {
    server = await startRedis({ args: ['--requirepass', PASSWORD] });
    url = `redis://:${PASSWORD}@${server.host}:${server.port}`;
    redis = new Redis(url);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  beforeEach(() => {
    [holder, others] = [strategy(), strategy()] as [LockStrategy, LockStrategy];
  });

  afterEach(async () => {
    await Promise.all([holder.close?.(), others.close?.()]);
    await redis.flushall();
  });

  function strategy(): LockStrategy {
    return redisLock({ url })({ strategy: 'redis', get: () => undefined as never });
  }

  function run(args: readonly string[], more: Partial<Surroundings> = {}): Promise<Outcome> {
    return outcomeOf([...args, '--redis', url], more);
  }

  /** Waits until it is queued. */
  async function queued(length: number, waiting: Promise<unknown>): Promise<void> {
    waiting.catch(() => undefined);
    await eventually(`${length} queued`, async () => (await redis.zcard('lock:{stock:42}:queue')) === length);
  }

  describe('inspect', () => {
    it('shows who holds a lock, since when, its token and lease, and who waits in their order', async () => {
      const held = await holder.acquire(REQUEST);
      await queued(1, others.acquire(REQUEST));
      await queued(2, holder.acquire(REQUEST));
      const { code, printed, said } = await run(['inspect', 'stock:42']);
      expect(said).toBe('');
      expect(printed.split('\n')).toEqual([
        'stock:42 is held',
        expect.stringMatching(new RegExp(`^ {2}holder {3}process ${process.pid} on `)),
        expect.stringMatching(/^ {2}since {4}\d{4}-\d\d-\d\dT.*Z \(\d+\.\d s ago\)$/),
        `  token    ${held.token}`,
        expect.stringMatching(/^ {2}lease {4}ends in \d+ s unless it is renewed$/),
        '  waiting  2',
        expect.stringMatching(/^ {4}1\. call 1 of process /),
        expect.stringMatching(/^ {4}2\. call 2 of process /),
        '',
      ]);
      expect(code).toBe(ExitCode.DONE);
    });

    it('prints a line of JSON, and nothing else, when it is told to', async () => {
      const held = await holder.acquire(REQUEST);
      const { code, printed } = await run(['inspect', 'stock:42', '--json']);
      expect(printed.trimEnd().split('\n')).toHaveLength(1);
      const { token, remaining = 0, heldFor = -1, waiters } = JSON.parse(printed) as LockInspection;
      expect({ token, waiters }).toEqual({ token: held.token, waiters: [] });
      expect(remaining).toBeGreaterThan(0);
      expect(heldFor).toBeGreaterThanOrEqual(0);
      expect(code).toBe(ExitCode.DONE);
    });

    it('says that a lock is free by its exit code, and what else may be wrong', async () => {
      const { code, printed } = await run(['inspect', 'stock:42', '--prefix', 'other:']);
      expect(printed).toContain('stock:42 is free');
      expect(printed).toContain(`another --prefix (other:), or\nanother Redis`);
      expect(printed).not.toContain(PASSWORD);
      expect(code).toBe(ExitCode.NOT_HELD);
    });

    it('finds the lock of another database and prefix', async () => {
      const elsewhere = redisLock({ url: `${url}/3`, prefix: 'app:' })({
        strategy: 'redis',
        get: () => undefined as never,
      });
      await elsewhere.acquire(REQUEST);
      const args = ['inspect', 'stock:42', '--prefix', 'app:', '--redis', `${url}/3`];
      expect((await outcomeOf(args)).code).toBe(ExitCode.DONE);
      expect((await run(['inspect', 'stock:42'])).code).toBe(ExitCode.NOT_HELD);
      await elsewhere.close?.();
    });

    it('leaves nothing behind', async () => {
      await run(['inspect', 'stock:42']);
      expect(await redis.keys('*')).toEqual([]);
      await eventually('its connections are closed', async () => {
        const clients = String(await redis.client('LIST'));
        return clients.trimEnd().split('\n').length === 1;
      });
    });
  });

  describe('release', () => {
    it('asks, shows what it asks about, and hands the lock to the next', async () => {
      const held = await holder.acquire(REQUEST);
      const next = others.acquire(REQUEST);
      await queued(1, next);
      const { code, printed, said } = await run(['release', 'stock:42'], { ask: async () => true });
      expect(said).toMatch(/^stock:42 is held\n {2}holder {3}process /);
      expect(printed).toMatch(/^Released stock:42, which was held by process .*\nstock:42 is held\n/);
      expect(code).toBe(ExitCode.DONE);
      await (await next).release();
      await eventually('the holder hears of it', () => held.isLost === true);
    });

    it('leaves the lock alone when the answer is no', async () => {
      const held = await holder.acquire(REQUEST);
      const { code } = await run(['release', 'stock:42'], { ask: async () => false });
      await expectHeldBy(held.token);
      expect(code).toBe(ExitCode.LEFT_ALONE);
    });

    it('leaves the lock alone when nobody can be asked, and says what to add', async () => {
      const held = await holder.acquire(REQUEST);
      const { code, said } = await run(['release', 'stock:42']);
      expect(said).toContain('Add --yes if you are sure.');
      await expectHeldBy(held.token);
      expect(code).toBe(ExitCode.LEFT_ALONE);
    });

    it('does not ask with --yes, and answers in JSON', async () => {
      await holder.acquire(REQUEST);
      const { code, printed, said } = await run(['release', 'stock:42', '--yes', '--json']);
      expect(JSON.parse(printed)).toMatchObject({ name: 'stock:42', released: true });
      expect([code, said]).toEqual([ExitCode.DONE, '']);
      expect((await run(['inspect', 'stock:42'])).code).toBe(ExitCode.NOT_HELD);
    });

    it('robs nobody who got the lock while the question stood', async () => {
      const held = await holder.acquire(REQUEST);
      const next = others.acquire(REQUEST);
      await queued(1, next);
      const { code, said } = await run(['release', 'stock:42'], {
        ask: async () => {
          await held.release();
          await next;
          return true;
        },
      });
      expect(said).toContain('It has another holder by now.');
      await expectHeldBy((await next).token);
      expect(code).toBe(ExitCode.LEFT_ALONE);
    });

    it('says so when the lock is free, or became free while the question stood', async () => {
      expect((await run(['release', 'stock:42', '--yes'])).code).toBe(ExitCode.NOT_HELD);
      const held = await holder.acquire(REQUEST);
      const { code, said } = await run(['release', 'stock:42'], {
        ask: async () => {
          await held.release();
          return true;
        },
      });
      expect(said).toContain('It was released meanwhile.');
      expect(code).toBe(ExitCode.NOT_HELD);
    });

    it('opens a lock that holdAtLeast keeps closed', async () => {
      await (await holder.acquire({ ...REQUEST, holdAtLeast: 60_000 })).release();
      expect((await run(['inspect', 'stock:42'])).code).toBe(ExitCode.DONE);
      expect((await run(['release', 'stock:42', '--yes'])).code).toBe(ExitCode.DONE);
      expect((await run(['inspect', 'stock:42'])).code).toBe(ExitCode.NOT_HELD);
    });

    it('does not claim to know what came of it when the answer is lost', async () => {
      await holder.acquire(REQUEST);
      const proxy = await losingAnswersAfter(SCRIPTS.forceRelease.sha, server);
      const args = ['release', 'stock:42', '--yes', '--timeout', '500', '--redis'];
      const { code, said } = await outcomeOf([...args, `redis://:${PASSWORD}@127.0.0.1:${proxy.port}`]);
      await proxy.close();
      expect(said).toContain('It may have been released, or not: inspect it.');
      expect(code).toBe(ExitCode.UNREACHABLE);
      expect((await run(['inspect', 'stock:42'])).code).toBe(ExitCode.NOT_HELD);
    });

    async function expectHeldBy(token: number | undefined): Promise<void> {
      const { printed } = await run(['inspect', 'stock:42', '--json']);
      expect(JSON.parse(printed)).toMatchObject({ held: true, token });
    }
  });

  describe('says that Redis can not be used, why, and nothing of the password', () => {
    it('when nobody listens', async () => {
      const gone = await startRedis();
      await gone.stop();
      const outcome = await outcomeOf([
        'inspect',
        'a',
        '--redis',
        `redis://:${PASSWORD}@${gone.host}:${gone.port}`,
      ]);
      expectUnreachable(outcome, /ECONNREFUSED/);
    });

    it('when it is frozen, within the time limit', async () => {
      const frozen = await startRedis();
      frozen.pause();
      const began = performance.now();
      const outcome = await outcomeOf(['inspect', 'a', '--redis', frozen.url, '--timeout', '300']);
      expect(performance.now() - began).toBeLessThan(4_000);
      expectUnreachable(outcome, /No answer from .* within 300 ms/);
      frozen.resume();
    });

    it('when the password is wrong, or missing', async () => {
      const address = `${server.host}:${server.port}`;
      expectUnreachable(
        await outcomeOf(['inspect', 'a', '--redis', `redis://:${PASSWORD}x@${address}`]),
        /WRONGPASS/,
      );
      expectUnreachable(await outcomeOf(['inspect', 'a', '--redis', `redis://${address}`]), /NOAUTH/);
    });

    function expectUnreachable({ code, printed, said }: Outcome, reason: RegExp): void {
      expect(said).toMatch(reason);
      expect(printed).toBe('');
      expect(said).not.toContain(PASSWORD);
      expect(code).toBe(ExitCode.UNREACHABLE);
    }
  });

  it('takes the address from the variable REDIS_URL', async () => {
    await holder.acquire(REQUEST);
    const outcome = await outcomeOf(['inspect', 'stock:42'], { environment: { REDIS_URL: url } });
    expect(outcome.code).toBe(ExitCode.DONE);
  });

  it('explains itself, and says what is wrong with a command line', async () => {
    expect((await outcomeOf(['--help'])).printed).toContain('release takes the lock away from a holder');
    expect((await outcomeOf(['--version'])).printed).toBe('1.2.3\n');
    const { code, said } = await outcomeOf(['inspect']);
    expect(said).toContain('Name the lock');
    expect(code).toBe(ExitCode.USAGE);
  });
});

async function outcomeOf(args: readonly string[], more: Partial<Surroundings> = {}): Promise<Outcome> {
  let [printed, said] = ['', ''];
  const code = await runCommand(args, {
    environment: {},
    version: '1.2.3',
    print: (text) => void (printed += text),
    say: (text) => void (said += text),
    ...more,
  });
  return { code, printed, said };
}

/** A way to a server on which no answer comes back any more, once something that contains the text was sent. */
async function losingAnswersAfter(
  text: string,
  server: { readonly host: string; readonly port: number },
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const proxy = createServer((client) => {
    let isLosing = false;
    const upstream = connect(server.port, server.host);
    client.on('data', (data) => {
      isLosing ||= data.includes(text);
      upstream.write(data);
    });
    upstream.on('data', (data) => void (isLosing || client.write(data)));
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.once('close', () => upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    port: (proxy.address() as AddressInfo).port,
    close: () => new Promise((resolve) => proxy.close(() => resolve())),
  };
}
