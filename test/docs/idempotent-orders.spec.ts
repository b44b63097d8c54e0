import type { INestApplication, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { Stock } from '../../src/stock/stock.entity';
import { startRedis } from '../support/servers/redis-server';
import { sharedPostgres, type SharedServer } from '../support/servers/shared-server';
import { loaderOf } from './page';

const BUYERS = 20;
const ITEMS = 5;

describe('the idempotent order endpoint', () => {
  let redis: SharedServer;
  let postgres: SharedServer;
  let apps: readonly INestApplication[] = [];
  const environment = { ...process.env };

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), sharedPostgres()]);
    process.env.REDIS_URL = redis.url;
    process.env.POSTGRES_URL = postgres.url;
    await layTables(postgres.url);
    const { PurchasesModule } = loaderOf('docs/idempotent-orders.md')('./purchases.module');
    // One after the other, for both run the migration.
    apps = [await serverOf(PurchasesModule as Type), await serverOf(PurchasesModule as Type)];
  });
  afterAll(async () => {
    process.env = environment;
    await Promise.all(apps.map((app) => app.close()));
    await Promise.all([redis.stop(), postgres.stop()]);
  });

  it('makes one purchase of a wish that two servers are told again and again', async () => {
    const answers = await Promise.all(
      Array.from({ length: BUYERS }, (_, number) => post(number, 'same wish', { stockId: 1, quantity: 2 })),
    );
    expect(new Set(answers.map(({ status, id }) => `${status} ${id}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 201, requestId: 'same wish', quantity: 2 });
    expect(await left(1)).toBe(ITEMS - 2);
  });

  it('sells no more than there is to wishes that differ', async () => {
    const answers = await Promise.all(
      Array.from({ length: BUYERS }, (_, number) =>
        post(number, `wish ${number}`, { stockId: 2, quantity: 1 }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(ITEMS);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(BUYERS - ITEMS);
    expect(await left(2)).toBe(0);
  });

  it('answers no other wish of the same name with a purchase, one after the other or at once', async () => {
    expect(await post(0, 'first', { stockId: 3, quantity: 1 })).toMatchObject({ status: 201 });
    expect(await post(1, 'first', { stockId: 3, quantity: 2 })).toMatchObject({ status: 422 });
    expect(await left(3)).toBe(ITEMS - 1);

    const statuses = await Promise.all([
      post(0, 'two at once', { stockId: 4, quantity: 1 }),
      post(1, 'two at once', { stockId: 5, quantity: 1 }),
    ]);
    const refused = statuses.filter(({ status }) => status !== 201);
    expect(refused).toHaveLength(1);
    expect([409, 422]).toContain(refused[0]?.status);
    expect((await left(4)) + (await left(5))).toBe(2 * ITEMS - 1);
  });

  it('asks for a name', async () => {
    expect(await post(0, '', { stockId: 1, quantity: 1 })).toMatchObject({ status: 400 });
  });

  async function post(
    server: number,
    requestId: string,
    body: object,
  ): Promise<{ readonly status: number; readonly id?: number; readonly [field: string]: unknown }> {
    const url = await apps[server % apps.length]?.getUrl();
    const response = await fetch(`${url}/purchases`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': requestId },
      body: JSON.stringify(body),
    });
    return { ...((await response.json()) as object), status: response.status };
  }

  async function left(id: number): Promise<number> {
    const stock = await apps[0]?.get(DataSource).getRepository(Stock).findOneByOrFail({ id });
    return stock?.quantity ?? -1;
  }
});

async function serverOf(module: Type): Promise<INestApplication> {
  const app = await NestFactory.create(module, { logger: false, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  return app;
}

/** The reader's own migration. */
async function layTables(url: string): Promise<void> {
  const { Purchase } = loaderOf('docs/idempotent-orders.md')('./purchase.entity');
  const entities = [Purchase as Type, Stock];
  const database = await new DataSource({ type: 'postgres', url, entities, synchronize: true }).initialize();
  await database
    .getRepository(Stock)
    .insert([1, 2, 3, 4, 5].map((id) => ({ id, name: `article ${id}`, quantity: ITEMS })));
  await database.destroy();
}
