import type { INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LockEvents, LockModule, LockService } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { eventually } from '../support/eventually';
import { startRedis, type RedisServer } from '../support/servers/redis-server';
import { loaderOf } from './page';

/** The `holdAtLeast` of the page's job, in milliseconds. */
const HELD_AT_LEAST = 500;

describe('the page about jobs', () => {
  let redis: RedisServer;
  let apps: INestApplicationContext[] = [];
  const load = loaderOf('docs/jobs.md');
  const before = process.env.REDIS_URL;

  beforeAll(async () => {
    redis = await startRedis();
    process.env.REDIS_URL = redis.url;
  });
  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));
  afterAll(async () => {
    if (before === undefined) delete process.env.REDIS_URL;
    else process.env.REDIS_URL = before;
    await redis.stop();
  });

  it('shows a job that two servers tick for, and one runs, not again before holdAtLeast is over', async () => {
    const { BatchModule } = load('./settlement');
    apps = await Promise.all([serverOf(BatchModule as Type), serverOf(BatchModule as Type)]);
    const grants: { readonly token: number; readonly isRun: boolean }[] = [];
    let skipped = 0;
    for (const app of apps) {
      app.get(LockEvents).on('acquired', ({ token = NaN, label }) => {
        grants.push({ token, isRun: label.startsWith('Settlement.') });
      });
      app.get(LockEvents).on('skipped', () => (skipped += 1));
    }
    const runs = (): number => grants.filter(({ isRun }) => isRun).length;
    // Somebody whose clock is late, and who wants to run the job as soon as it is done.
    const [late] = apps.map((app) => app.get(LockService));
    await eventually('two runs, and two ticks that were skipped', async () => {
      if (grants.at(-1)?.isRun === true) await (await late?.tryAcquire('settle'))?.release();
      return runs() >= 2 && skipped >= 2 && grants.at(-1)?.isRun === false;
    });
    // A token is the time of its grant in microseconds, by Redis' clock.
    grants.sort((one, other) => one.token - other.token);
    const afterRuns = grants.flatMap(({ token, isRun }, at) =>
      isRun ? [(grants[at + 1]?.token ?? Infinity) - token] : [],
    );
    expect(Math.min(...afterRuns)).toBeGreaterThanOrEqual(HELD_AT_LEAST * 1_000);
  });

  it('shows a leader, and another one when it ends', async () => {
    const { PriceFeed } = load('./price-feed');
    const LedModule = class {};
    const made = {
      module: LedModule,
      imports: [LockModule.forRoot({ strategy: redisLock({ url: redis.url }) })],
      providers: [PriceFeed as Type],
    };
    apps = await Promise.all([serverOf(made), serverOf(made)]);
    const feeds = apps.map((app) => app.get<{ readonly isLeader: boolean }>(PriceFeed as Type));
    const leaders = (): number => feeds.filter(({ isLeader }) => isLeader).length;
    await eventually('somebody leads', () => leaders() > 0);
    expect(leaders()).toBe(1);
    const first = feeds.findIndex(({ isLeader }) => isLeader);
    await apps.splice(first, 1)[0]?.close();
    expect(feeds[first]?.isLeader).toBe(false);
    await eventually('the other one leads', () => leaders() === 1);
  });
});

function serverOf(module: Parameters<typeof NestFactory.createApplicationContext>[0]) {
  return NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
}
