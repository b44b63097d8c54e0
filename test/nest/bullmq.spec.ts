import { getQueueToken, BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { QueueEvents, type Job, type Queue } from 'bullmq';
import { DistributedLock, LockModule } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { startRedis, type RedisServer } from '../support/servers/redis-server';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Processor('orders', { concurrency: 3 })
class OrdersProcessor extends WorkerHost {
  @DistributedLock('stock:<job.data.sku>')
  override async process(job: Job<{ readonly sku: string }>): Promise<string> {
    return `${await turnstile.pass()} of ${job.name}`;
  }
}

describe('a locked processor of BullMQ', () => {
  let redis: RedisServer;
  let app: INestApplicationContext;
  let events: QueueEvents;

  beforeAll(async () => {
    redis = await startRedis();
    const connection = { host: redis.host, port: redis.port, maxRetriesPerRequest: null };

    @Module({
      imports: [
        LockModule.forRoot({ strategy: redisLock({ url: redis.url }) }),
        BullModule.forRoot({ connection }),
        BullModule.registerQueue({ name: 'orders' }),
      ],
      providers: [OrdersProcessor],
    })
    class App {}
    app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    await app.init();
    events = new QueueEvents('orders', { connection });
    await events.waitUntilReady();
  });
  afterAll(async () => {
    await events?.close();
    await app?.close();
    await redis?.stop();
  });

  it('works at one job of a key at a time, though the worker takes three', async () => {
    const queue = app.get<Queue>(getQueueToken('orders'));
    const answers = await expectTurns(app, { key: 'stock:apple', turnstile }, async () => {
      const job = await queue.add('order', { sku: 'apple' });
      return job.waitUntilFinished(events) as Promise<string>;
    });
    expect(answers).toEqual(Array(3).fill('stock:apple of order'));
  });
});
