import { request } from 'node:http';
import { Test, type TestingModule } from '@nestjs/testing';
import { LockModule, LockService } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { type ShopServer, startShopServer } from '../../demo/scenes/shop-server';
import { eventually } from '../support/eventually';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server';
import { type RedisServer, startRedis } from '../support/servers/redis-server';

jest.setTimeout(120_000);

const WAIT_TIME = 5_000;

describe('the shop answers in the words of HTTP', () => {
  let redis: RedisServer;
  let postgres: PostgresServer;
  let shop: ShopServer;
  /** Another server, as far as the shop can tell. */
  let other: TestingModule;
  let locks: LockService;

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
    shop = await startShopServer({
      environment: {
        LOCK_STRATEGY: 'redis',
        LOCK_WAIT_TIME: WAIT_TIME,
        REDIS_URL: redis.url,
        POSTGRES_URL: postgres.url,
      },
    });
    other = await Test.createTestingModule({
      imports: [LockModule.forRoot({ strategy: redisLock({ url: redis.url }) })],
    }).compile();
    await other.init();
    locks = other.get(LockService);
  });

  afterAll(async () => {
    await other.close();
    await Promise.all([shop.stop(), redis.stop(), postgres.stop()]);
  });

  it('gives an order number to who gets an item', async () => {
    const before = await itemsLeft();
    const { status, body } = await order(1);
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { id: expect.any(Number) as number, stockId: 1, quantity: 1 },
    });
    expect(await itemsLeft()).toBe(before - 1);
  });

  it('says how many are left to who wants more', async () => {
    const left = await itemsLeft();
    expect(await order(left + 1)).toMatchObject({
      status: 409,
      body: {
        error: 'Sold Out',
        message: `There are ${left} left of concert ticket, and ${left + 1} were ordered`,
      },
    });
    expect(await itemsLeft()).toBe(left);
  });

  it.each([
    ['nothing', {}, 'quantity must be an integer number'],
    ['no item', { quantity: 0 }, 'quantity must not be less than 1'],
    ['half an item', { quantity: 0.5 }, 'quantity must be an integer number'],
    ['a word', { quantity: '1' }, 'quantity must be an integer number'],
    ['what there is no word for', { quantity: 1, price: 0 }, 'property price should not exist'],
  ])('refuses an order for %s', async (_, body, message) => {
    expect(await post('/stock/1/orders', body)).toMatchObject({ status: 400, body: { message: [message] } });
  });

  it.each(['nonsense', '0', '1.5', '99999999999'])('refuses the id %s', async (id) => {
    expect(await get(`/stock/${id}`)).toMatchObject({ status: 400 });
    expect(await post(`/stock/${id}/orders`, { quantity: 1 })).toMatchObject({ status: 400 });
  });

  it('knows what it does not have', async () => {
    expect(await get('/stock/7')).toMatchObject({ status: 404, body: { message: 'There is no stock 7' } });
    expect(await post('/stock/7/orders', { quantity: 1 })).toMatchObject({ status: 404 });
  });

  it('asks to come again when another server held the lock for the whole wait time', async () => {
    const left = await itemsLeft();
    const answer = await locks.run('stock:1', () => order(1));
    expect(answer.status).toBe(423);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await itemsLeft()).toBe(left);
  });

  it('sells nothing to a buyer who hung up while waiting', async () => {
    const left = await itemsLeft();
    await locks.run('stock:1', async () => {
      const buyer = request(`${shop.url}/stock/1/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
      buyer.on('error', () => undefined); // What it is told when it hangs up.
      buyer.end(JSON.stringify({ quantity: 1 }));
      await eventually('the buyer waits', async () => (await waiters()) === 1);
      buyer.destroy();
      // Long before the wait time is over, which would end the waiting too.
      await eventually('the buyer left the queue', async () => (await waiters()) === 0, WAIT_TIME / 2);
    });
    expect((await order(1)).status).toBe(201);
    expect(await itemsLeft()).toBe(left - 1);
  });

  it('is not available while Redis is down, and sells again when it is back', async () => {
    const left = await itemsLeft();
    await redis.kill();
    expect(await order(1)).toMatchObject({ status: 503 });
    expect(await itemsLeft()).toBe(left);
    await redis.restart({ keepData: true });
    await eventually('it sells again', async () => (await order(1)).status === 201);
  });

  async function waiters(): Promise<number> {
    return (await locks.inspect('stock:1')).waiters.length;
  }

  async function itemsLeft(): Promise<number> {
    const { body } = await get('/stock/1');
    return (body as { readonly quantity: number }).quantity;
  }

  function order(quantity: number): Promise<Answer> {
    return post('/stock/1/orders', { quantity });
  }

  async function get(path: string): Promise<Answer> {
    return answerOf(await fetch(`${shop.url}${path}`));
  }

  async function post(path: string, body: unknown): Promise<Answer> {
    const headers = { 'content-type': 'application/json' };
    return answerOf(
      await fetch(`${shop.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) }),
    );
  }
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function answerOf(response: Response): Promise<Answer> {
  return { status: response.status, headers: response.headers, body: await response.json() };
}
