import { Controller, Get, Inject, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { LockModule, memoryLock } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { quorumLock } from 'nestjs-distributed-lock/redlock';
import { LockHealthIndicator } from 'nestjs-distributed-lock/terminus';
import { CreateDistributedLock1767225600000, typeormLock } from 'nestjs-distributed-lock/typeorm';
import { Masters } from '../support/redlock/masters';
import { startRedis, type RedisServer } from '../support/servers/redis-server';
import { sharedPostgres, type SharedServer } from '../support/servers/shared-server';

jest.setTimeout(120_000);

@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(LockHealthIndicator) private readonly locks: LockHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    // Long enough for a machine under load; a Redis that is away answers at once.
    return this.health.check([() => this.locks.isHealthy('locks', { timeout: 5_000 })]);
  }
}

describe('the health of every strategy, asked over HTTP', () => {
  let redis: RedisServer;
  let postgres: SharedServer;
  let masters: Masters;
  let app: INestApplication;

  beforeAll(async () => {
    [redis, postgres, masters] = await Promise.all([startRedis(), sharedPostgres(), Masters.start(3)]);

    @Module({
      imports: [
        TerminusModule.forRoot({ logger: false }),
        TypeOrmModule.forRoot({
          type: 'postgres',
          url: postgres.url,
          migrations: [CreateDistributedLock1767225600000],
          migrationsRun: true,
        }),
        LockModule.forRoot({
          strategy: memoryLock(),
          strategies: {
            redis: redisLock({ url: redis.url }),
            database: typeormLock(),
            quorum: quorumLock({ nodes: masters.urls }),
          },
        }),
      ],
      controllers: [HealthController],
      providers: [LockHealthIndicator],
    })
    class App {}
    app = await NestFactory.create(App, { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
  });
  afterAll(async () => {
    await app?.close();
    await Promise.all([redis?.stop(), postgres?.stop(), masters?.stop()]);
  });

  const check = async (): Promise<{ readonly status: number; readonly locks: Record<string, string> }> => {
    const answer = await fetch(`${await app.getUrl()}/health`);
    const { details } = (await answer.json()) as { details: { locks: Record<string, string> } };
    return { status: answer.status, locks: details.locks };
  };

  it('is up while every store answers, and down, by name, for those that do not', async () => {
    const answered = expect.stringMatching(/^answered in \d+ ms$/) as unknown;
    expect(await check()).toEqual({
      status: 200,
      locks: { status: 'up', default: answered, redis: answered, database: answered, quorum: answered },
    });

    // A majority is enough.
    await masters.servers[0]?.kill();
    await redis.kill();
    expect(await check()).toEqual({
      status: 503,
      locks: {
        status: 'down',
        default: answered,
        redis: expect.stringMatching(/^down: No lock can be taken/) as unknown,
        database: answered,
        quorum: answered,
      },
    });
  });
});
