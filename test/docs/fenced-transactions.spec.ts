import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LockService } from 'nestjs-distributed-lock';
import { DataSource } from 'typeorm';
import { PostgresDialect } from '../../libs/lock/src/strategies/typeorm/postgres.dialect';
import { lockIdentity } from '../../libs/lock/src/strategies/typeorm/lock-identity';
import { startRedis, type RedisServer } from '../support/servers/redis-server';
import { sharedPostgres, type SharedServer } from '../support/servers/shared-server';
import { blocksOf, loaderOf } from './page';

const PAGE = 'docs/fenced-transactions.md';

interface Transfers {
  transfer(from: number, to: number, amount: number): Promise<void>;
}

interface ReportStore {
  writeReport(database: DataSource, report: object): Promise<boolean>;
  report(locks: LockService, database: DataSource, body: string): Promise<boolean>;
}

describe('the page about fenced transactions', () => {
  let redis: RedisServer;
  let postgres: SharedServer;
  let apps: readonly INestApplicationContext[] = [];
  let transfers: readonly Transfers[];
  let database: DataSource;
  const load = loaderOf(PAGE);
  const environment = { ...process.env };

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), sharedPostgres()]);
    process.env.REDIS_URL = redis.url;
    process.env.POSTGRES_URL = postgres.url;
    const { AccountsModule, Accounts, Account } = load('./accounts') as Record<string, Type>;
    database = new DataSource({
      type: 'postgres',
      url: postgres.url,
      synchronize: true,
      entities: [Account],
    });
    await database.initialize();
    await database.query('CREATE TABLE report (name text PRIMARY KEY, body text, token bigint)');
    // One after the other, for both run the migration.
    apps = [await serverOf(AccountsModule), await serverOf(AccountsModule)];
    transfers = apps.map((app) => app.get<Transfers>(Accounts));
  });
  afterAll(async () => {
    process.env = environment;
    await Promise.all(apps.map((app) => app.close()));
    await database.destroy();
    await Promise.all([redis.stop(), postgres.stop()]);
  });
  beforeEach(() =>
    database
      .query('DELETE FROM account')
      .then(() => database.query('INSERT INTO account VALUES (1, 10), (2, 0), (3, 5)')),
  );

  it('shows transfers that lose nothing between two servers, and end when an account is empty', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 24 }, (_, number) => {
        const bank = transfers[number % 2];
        // In both directions: locked in one order for everybody, or these would wait for each other.
        return number % 3 === 0 ? bank?.transfer(3, 1, 1) : bank?.transfer(1, 2, 1);
      }),
    );
    const rows = await database.query<{ balance: number }[]>('SELECT balance FROM account ORDER BY id');
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.map((outcome) => String((outcome as PromiseRejectedResult).reason))).toEqual(
      refused.map(() => 'ConflictException: The account is empty.'),
    );
    const [first, second, third] = rows.map(({ balance }) => balance);
    expect((first ?? 0) + (second ?? 0) + (third ?? 0)).toBe(15);
    expect(third).toBe(0);
    expect(24 - refused.length).toBe((second ?? 0) + 5);
    const tokens = await database.query<object[]>(
      'SELECT name, fenced_by FROM distributed_lock ORDER BY name',
    );
    expect(tokens).toEqual([1, 2, 3].map((id) => ({ name: `account:${id}`, fenced_by: 'lease' })));
  });

  it('shows the statement that fences, as it is sent', () => {
    const fence = { ...lockIdentity('stock:42'), token: 7 };
    const table = { path: '"distributed_lock"', sequence: 'distributed_lock_token' };
    const sent = new PostgresDialect().beginFenced({ table, fences: [fence], waitTime: 1, ttl: 1 });
    const [shown = ''] = blocksOf(PAGE, 'sql');
    const filled = shown
      .replace('$id', `'${fence.id}'`)
      .replace('$name', "'stock:42'")
      .replace('$token', '7')
      .replace('$now', '(extract(epoch FROM clock_timestamp()) * 1000)::bigint');
    expect(oneLine(sent)).toContain(oneLine(filled));
  });

  it('shows a statement that deletes old tokens, and no others', async () => {
    const [, shown = ''] = blocksOf(PAGE, 'sql');
    const now = Date.now();
    const row = (id: string, takenAt: number, fencedBy: string): Promise<unknown> =>
      database.query(
        'INSERT INTO distributed_lock (id, name, token, fenced_by, taken_at) VALUES ($1, $1, 1, $2, $3)',
        [id, fencedBy, takenAt],
      );
    await row('old', now - 8 * 86_400_000, 'lease');
    await row('old, of the database', now - 8 * 86_400_000, 'sequence');
    await row('young', now - 6 * 86_400_000, 'lease');
    await database.query(shown);
    const left = await database.query<{ id: string }[]>(
      "SELECT id FROM distributed_lock WHERE id LIKE '%o%'",
    );
    expect(
      left
        .map(({ id }) => id)
        .filter((id) => /old|young/.test(id))
        .sort(),
    ).toEqual(['old, of the database', 'young']);
  });

  it('shows a store that is fenced by hand: it takes no report of an earlier holder', async () => {
    const { report, writeReport } = load('./report-store') as unknown as ReportStore;
    const [locks] = apps.map((app) => app.get(LockService));
    if (locks === undefined) throw new Error('No application was started.');
    expect(await report(locks, database, 'of today')).toBe(true);
    expect(await report(locks, database, 'of tonight')).toBe(true);
    expect(await writeReport(database, { name: 'daily', body: 'late', token: 7 })).toBe(false);
    expect(await database.query('SELECT body FROM report')).toEqual([{ body: 'of tonight' }]);
  });
});

function serverOf(module: Type): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
}

function oneLine(sql: string): string {
  return sql.replace(/\s+/g, ' ').trim();
}
