import { request, type ClientRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Controller,
  Inject,
  Injectable,
  Module,
  Param,
  Post,
  UseInterceptors,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Redis } from 'ioredis';
import {
  DistributedLock,
  DistributedLockInterceptor,
  LockModule,
  LockService,
} from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { eventually } from '../support/eventually';
import { startRedis, type RedisServer } from '../support/servers/redis-server';

const CLIENTS = 200;

@Injectable()
class Stock {
  runs = 0;

  @DistributedLock('stock:<id>', { waitTime: 60_000 })
  async decrease(id: string): Promise<string> {
    this.runs += 1;
    return Promise.resolve(id);
  }
}

@Controller('stock')
@UseInterceptors(DistributedLockInterceptor)
class StockController {
  constructor(@Inject(Stock) private readonly stock: Stock) {}

  @Post(':id')
  order(@Param('id') id: string): Promise<string> {
    return this.stock.decrease(id);
  }
}

const ADAPTERS = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() };

describe.each(['Express', 'Fastify'] as const)(
  `${CLIENTS} clients hang up while they wait, on %s`,
  (platform) => {
    let server: RedisServer;
    let redis: Redis;
    let app: INestApplication;

    beforeAll(async () => {
      server = await startRedis();
      redis = new Redis(server.url);

      @Module({
        imports: [LockModule.forRoot({ strategy: redisLock({ url: server.url }) })],
        controllers: [StockController],
        providers: [Stock],
      })
      class App {}
      app = await NestFactory.create(App, ADAPTERS[platform](), { logger: false, abortOnError: false });
      await app.listen(0, '127.0.0.1');
    });
    afterAll(async () => {
      await app?.close();
      redis?.disconnect();
      await server?.stop();
    });

    it('leaves nobody in the queue in Redis, and runs no method for them', async () => {
      const locks = app.get(LockService);
      const stock = app.get(Stock);
      const waiters = async (): Promise<number> => (await locks.inspect('stock:apple')).waiters.length;
      const lease = await locks.acquire('stock:apple');

      const clients = Array.from({ length: CLIENTS }, () => connect(app));
      await eventually(`${CLIENTS} clients wait`, async () => (await waiters()) === CLIENTS);
      expect(await waitersIn(redis)).toBe(CLIENTS);
      // One that stays: what was left of the others would stand before it.
      const loyal = connect(app);
      await eventually('one more waits', async () => (await waiters()) === CLIENTS + 1);

      for (const { socket } of clients) socket.destroy();
      await eventually('only one is left', async () => (await waiters()) === 1);
      expect(await waitersIn(redis)).toBe(1);
      expect(stock.runs).toBe(0);

      await lease.release();
      expect(await loyal.status).toBe(201);
      expect(stock.runs).toBe(1);
      await eventually('the lock is free', async () => !(await locks.inspect('stock:apple')).held);
      expect(await waitersIn(redis)).toBe(0);
      // Nobody came later.
      expect(stock.runs).toBe(1);
    });
  },
);

/** A client with a connection of its own. */
function connect(app: INestApplication): {
  readonly socket: ClientRequest;
  readonly status: Promise<number>;
} {
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  const socket = request({ host: '127.0.0.1', port, method: 'POST', path: '/stock/apple', agent: false });
  const status = new Promise<number>((resolve, reject) => {
    socket.on('response', (response) => resolve(response.resume().statusCode ?? 0));
    socket.on('error', reject);
  });
  status.catch(() => undefined);
  socket.end();
  return { socket, status };
}

/** How many stand in the queues of all locks, asked of Redis itself. */
async function waitersIn(redis: Redis): Promise<number> {
  const lengths = (await redis.keys('lock:*:queue')).map(async (key) => {
    return redis.zcard(key);
  });
  return (await Promise.all(lengths)).reduce((sum, length) => sum + length, 0);
}
