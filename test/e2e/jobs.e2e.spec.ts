import { join } from 'node:path';
import { Redis } from 'ioredis';
import { throwawayFolder } from '../../src/database/unprivileged-user';
import { eventually } from '../support/eventually';
import { startRedis, type RedisServer } from '../support/servers/redis-server';
import type { ServerCommand } from '../support/servers/server-process';
import { ThrowawayServer } from '../support/servers/throwaway-server';

jest.setTimeout(120_000);

/** One of the two processes: see `jobs.worker.ts`. */
class BatchServer extends ThrowawayServer {
  constructor(
    readonly name: string,
    private readonly url: string,
  ) {
    super(throwawayFolder('batch'));
  }

  protected command(): ServerCommand {
    const root = join(__dirname, '../..');
    return {
      file: process.execPath,
      args: ['--import', 'tsx', join(__dirname, 'jobs.worker.ts'), this.name, this.url],
      cwd: root,
      env: { NODE_ENV: '', NODE_OPTIONS: '' },
      ready: /^ready$/m,
    };
  }
}

describe('two batch servers with the same job, and one leader', () => {
  let server: RedisServer;
  let redis: Redis;
  let both: readonly [BatchServer, BatchServer];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  beforeEach(async () => {
    await redis.flushall();
    both = [new BatchServer('one', server.url), new BatchServer('two', server.url)];
    await Promise.all(both.map((batch) => batch.start()));
  });
  afterEach(() => Promise.all(both.map((batch) => batch.stop())));
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  const story = (): Promise<string[]> => redis.lrange('story', 0, -1);
  /** Who did this, in order. */
  const who = async (what: string): Promise<readonly string[]> =>
    (await story()).filter((line) => line.endsWith(` ${what}`)).map((line) => line.split(' ', 1)[0] ?? '');
  const untilSomebody = async (what: string, times: number): Promise<readonly string[]> => {
    await eventually(`somebody ${what}`, async () => (await who(what)).length >= times);
    return who(what);
  };
  const named = (name: string | undefined): BatchServer => {
    const found = both.find((batch) => batch.name === name);
    if (found === undefined) throw new Error(`There is no server "${name}".`);
    return found;
  };

  it('run a job that is longer than its interval once, and the other takes over when it is killed in the middle', async () => {
    const [first] = await untilSomebody('begins', 1);
    // Many ticks on both servers, the one that works included, and longer than the ttl: the lease was renewed.
    await untilSomebody('skips', 14);
    expect(new Set(await who('skips')).size).toBe(2);
    expect(await who('begins')).toEqual([first]);

    await named(first).kill();
    const begins = await untilSomebody('begins', 2);
    expect(begins).toEqual([first, both.find(({ name }) => name !== first)?.name]);
    expect(await who('ends')).toEqual([]);

    await redis.set('may-end', '1');
    await untilSomebody('ends', 1);
    await untilSomebody('begins', 3);
  });

  it('have another leader within a ttl when the leader is killed', async () => {
    const [first] = await untilSomebody('leads', 1);
    await named(first).kill();
    const killedAt = performance.now();
    const leaders = await untilSomebody('leads', 2);
    // The ttl, and generous time for a machine under load.
    expect(performance.now() - killedAt).toBeLessThan(1_500 + 5_000);
    expect(leaders).toEqual([first, both.find(({ name }) => name !== first)?.name]);
  });

  it('have another leader when the leader is frozen, and it knows that it leads no more when it goes on', async () => {
    const [first] = await untilSomebody('leads', 1);
    named(first).pause();
    const leaders = await untilSomebody('leads', 2);
    expect(leaders).toEqual([first, both.find(({ name }) => name !== first)?.name]);
    expect(await who('is told that it leads no more')).toEqual([]);

    named(first).resume();
    expect(await untilSomebody('is told that it leads no more', 1)).toEqual([first]);
    // It stands in line again, behind the one that leads.
    await named(leaders[1]).kill();
    expect(await untilSomebody('leads', 3)).toEqual([...leaders, first]);
  });
});
