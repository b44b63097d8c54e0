import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, Interval, ScheduleModule } from '@nestjs/schedule';
import { DistributedLock, ExclusiveJob, LockEvents, LockModule, LockService } from 'nestjs-distributed-lock';
import { eventually } from '../support/eventually';
import { Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Injectable()
class Jobs {
  @Cron('* * * * * *')
  @ExclusiveJob('cron-above')
  async cronAbove(): Promise<void> {
    await turnstile.pass();
  }

  @ExclusiveJob('cron-below')
  @Cron('* * * * * *')
  async cronBelow(): Promise<void> {
    await turnstile.pass();
  }

  @Interval(10)
  @ExclusiveJob('interval-above')
  async intervalAbove(): Promise<void> {
    await turnstile.pass();
  }

  /** Also with a lock that waits: ticks stand in line. */
  @DistributedLock('interval-below')
  @Interval(10)
  async intervalBelow(): Promise<void> {
    await turnstile.pass();
  }
}

@Module({ imports: [ScheduleModule.forRoot(), LockModule.forRoot()], providers: [Jobs] })
class App {}

describe('a locked job of @nestjs/schedule', () => {
  it('ticks and does not run while somebody else runs it, with @Cron and @Interval above and below the lock', async () => {
    const app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    const keys = ['cron-above', 'cron-below', 'interval-above', 'interval-below'];
    try {
      await Promise.all(keys.map((key) => expectNoRunWhileHeld(app, key)));
      expect(turnstile.intruders.filter((intruder) => intruder.startsWith('no lock'))).toEqual([]);
    } finally {
      await app.close();
    }
  });
});

async function expectNoRunWhileHeld(app: INestApplicationContext, key: string): Promise<void> {
  const locks = app.get(LockService);
  let ticks = 0;
  let runs = 0;
  app.get(LockEvents).on('waiting', (event) => (ticks += Number(event.key === key)));
  app.get(LockEvents).on('acquired', (event) => {
    if (event.label.startsWith('Jobs.') && event.key === key) runs += 1;
  });

  // Jobs begin to tick with the application; this may stand in line behind one.
  const lease = await locks.acquire(key);
  const [ticksBefore, runsBefore] = [ticks, runs];
  await eventually(`two more ticks of ${key}`, () => ticks >= ticksBefore + 2);
  expect(runs).toBe(runsBefore);
  await lease.release();
  await eventually(`the next run of ${key}`, () => runs > runsBefore);
}
