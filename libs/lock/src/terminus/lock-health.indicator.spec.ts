import type { AddressInfo } from 'node:net';
import { Controller, Get, Inject, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { LockModule } from '../lock.module.js';
import { LockUnavailableError } from '../locking/lock-error.js';
import { LockStrategy, type StrategyLease } from '../locking/lock-strategy.js';
import { memoryLock } from '../strategies/memory/index.js';
import { LockHealthIndicator } from './lock-health.indicator.js';

class UnreachableStrategy extends LockStrategy {
  override readonly traits = { scope: 'shared', order: 'none', fencing: false } as const;

  override acquire(): Promise<StrategyLease> {
    return Promise.reject(new LockUnavailableError('nobody answers.'));
  }
}

@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(LockHealthIndicator) private readonly locks: LockHealthIndicator,
  ) {}

  @Get()
  all(): unknown {
    return this.health.check([() => this.locks.isHealthy('locks')]);
  }

  @Get('memory')
  memory(): unknown {
    return this.health.check([() => this.locks.isHealthy('locks', { strategy: 'default' })]);
  }
}

@Module({
  imports: [
    TerminusModule.forRoot({ logger: false }),
    LockModule.forRoot({ strategy: memoryLock(), strategies: { away: () => new UnreachableStrategy() } }),
  ],
  controllers: [HealthController],
  providers: [LockHealthIndicator],
})
class HealthModule {}

describe('the health of locks', () => {
  let application: INestApplication;
  let url: string;

  beforeAll(async () => {
    application = await NestFactory.create(HealthModule, { logger: false });
    const server = (await application.listen(0, '127.0.0.1')) as { address(): AddressInfo };
    url = `http://127.0.0.1:${server.address().port}/health`;
  });
  afterAll(() => application.close());

  it('is up, with the time that it took, when a lock can be taken', async () => {
    const answer = await fetch(`${url}/memory`);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      info: { locks: { status: 'up', default: expect.stringMatching(/^answered in \d+ ms$/) as string } },
    });
  });

  it('is down, and says which strategy and why, when one can not', async () => {
    const answer = await fetch(url);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({
      error: {
        locks: {
          status: 'down',
          away: 'down: No lock can be taken: nobody answers.',
          default: expect.stringMatching(/^answered/) as string,
        },
      },
    });
  });

  it('stays up while many ask at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/memory`)));
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
  });
});
