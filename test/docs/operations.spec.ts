import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { ExitCode } from '../../libs/lock/src/cli/exit-code';
import { HELP } from '../../libs/lock/src/cli/help';
import { textOf } from '../../libs/lock/src/cli/inspection-text';
import { typeormLock } from 'nestjs-distributed-lock/typeorm';
import { eventually } from '../support/eventually';
import { startRedis } from '../support/servers/redis-server';
import { sharedPostgres } from '../support/servers/shared-server';
import { contextOf, openDataSource, prepareDatabase } from '../support/typeorm/lock-data-source';
import { blocksOf, ROOT } from './page';

const PAGE = 'docs/operations.md';
const text = readFileSync(join(ROOT, PAGE), 'utf8');

describe('the page about operations', () => {
  let admin: Redis | undefined;

  afterEach(() => admin?.disconnect());

  it('shows what the command prints, as it prints it', () => {
    const printed = textOf({
      name: 'stock:42',
      held: true,
      holder: 'process 4711 on web-1 (3q2xCkXl0aBc)',
      since: new Date('2026-11-22T02:58:13.120Z'),
      heldFor: 252_000,
      token: 1795393093120000,
      remaining: 8_200,
      waiters: [
        'call 5 of process 4802 on web-2 (Zk9bq0TfW1xY)',
        'call 9 of process 4711 on web-1 (3q2xCkXl0aBc)',
      ],
    });
    expect(text).toContain(printed.replace(/^/gm, '    ').trimEnd());
  });

  it('lists every option and every exit code of the command', () => {
    const options = [...HELP.matchAll(/^ {2}(?:-\w, )?(--[a-z]+)/gm)].map(([, option = '']) => option);
    expect(options.length).toBeGreaterThan(6);
    const explainingThemselves = ['--help', '--version'];
    expect(options.filter((option) => !text.includes(`\`${option}`))).toEqual(explainingThemselves);
    for (const code of Object.values(ExitCode)) expect(text).toMatch(new RegExp(`^\\| +${code} \\|`, 'm'));
  });

  it('gives a user of Redis what the lock needs', async () => {
    const server = await startRedis();
    admin = new Redis(server.url);
    const [shown = ''] = blocksOf(PAGE, 'redis');
    const words = shown.trim().split(/\s+/);
    expect(await admin.call(words[0] ?? '', ...words.slice(1))).toBe('OK');
    const url = `redis://locks:password@${server.host}:${server.port}`;
    const [holder, next] = [0, 1].map(() =>
      redisLock({ url })({ strategy: 'redis', get: () => undefined as never }),
    );
    const request = { name: 'stock:42', waitTime: 20_000, ttl: 10_000, holdAtLeast: 0 };
    const lease = await holder?.acquire(request);
    const waiting = next?.acquire(request);
    await eventually('it waits', async () => (await next?.inspect?.('stock:42'))?.waiters.length === 1);
    await lease?.extend(20_000);
    await lease?.release();
    await (await waiting)?.release();
    await Promise.all([holder?.close?.(), next?.close?.()]);
    // What it was not allowed to do.
    const refused = (await admin.call('ACL', 'LOG')) as string[][];
    expect(refused.map((entry) => entry[entry.indexOf('object') + 1]?.toLowerCase())).toEqual([]);
    await server.stop();
  });

  it('shows a statement that finds who holds a lock of PostgreSQL', async () => {
    const postgres = await sharedPostgres();
    const dataSource = await openDataSource(postgres.url);
    await prepareDatabase(dataSource);
    const strategy = typeormLock()(contextOf(dataSource));
    await strategy.connect?.();
    const lease = await strategy.acquire({ name: 'stock:42', waitTime: 5_000, ttl: 10_000, holdAtLeast: 0 });
    const [shown = ''] = blocksOf(PAGE, 'sql');
    expect(await dataSource.query(shown)).toMatchObject([{ state: 'idle in transaction' }]);
    await lease.release();
    expect(await dataSource.query(shown)).toEqual([]);
    await strategy.close?.();
    await dataSource.destroy();
    await postgres.stop();
  });
});
