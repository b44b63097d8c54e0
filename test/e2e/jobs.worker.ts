import { Inject, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Interval, ScheduleModule } from '@nestjs/schedule';
import { Redis } from 'ioredis';
import { ExclusiveJob, LockEvents, LockModule, LockService } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { eventually } from '../support/eventually';

/**
 * A batch server in a process of its own. Its arguments are its name and the address of Redis, where it tells what
 * happens: in the list `story`, as `<name> <what>`.
 */
const [name = '', url = ''] = process.argv.slice(2);

/** Milliseconds between the ticks of the job, and what a dead holder may cost. */
const INTERVAL = 300;
const TTL = 1_500;

const redis = new Redis(url);

async function tell(what: string): Promise<void> {
  await redis.rpush('story', `${name} ${what}`);
}

@Injectable()
class Settlement {
  @Interval(INTERVAL)
  @ExclusiveJob('settle', { ttl: TTL })
  async settle(): Promise<void> {
    await tell('begins');
    // As long as the test says: many intervals.
    await eventually('the job may end', async () => (await redis.exists('may-end')) === 1, 60_000);
    await tell('ends');
  }
}

@Injectable()
class Leadership implements OnApplicationBootstrap {
  constructor(@Inject(LockService) private readonly locks: LockService) {}

  onApplicationBootstrap(): void {
    void this.locks.lead('reports', (signal) => this.work(signal), { ttl: TTL, retryDelay: 100 });
  }

  private async work(signal: AbortSignal): Promise<void> {
    await tell('leads');
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
      if (signal.aborted) resolve();
    });
    await tell('is told that it leads no more');
  }
}

@Module({
  imports: [LockModule.forRoot({ strategy: redisLock({ url }) }), ScheduleModule.forRoot()],
  providers: [Settlement, Leadership],
})
class BatchServer {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(BatchServer, { logger: ['error'] });
  app.get(LockEvents).on('skipped', () => void tell('skips'));
  await app.init();
  process.stdout.write('ready\n');
}

void main();
