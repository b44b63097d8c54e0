import { Logger } from '@nestjs/common';
import { quorumLock } from 'nestjs-distributed-lock/redlock';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import type { RedisServer } from '../support/servers/redis-server';
import { Masters } from '../support/redlock/masters';

// A node that is away is warned of, which is tried elsewhere.
Logger.overrideLogger(['error']);

describeOn('three masters', 3);
describeOn('three masters, one of them frozen', 3, ([first]) => first?.pause());
describeOn('five masters, two of them dead', 5, async ([first, second]) => {
  await first?.kill();
  await second?.kill();
});

function describeOn(
  name: string,
  count: number,
  trouble: (servers: readonly RedisServer[]) => void | Promise<void> = () => undefined,
): void {
  describe(`on ${name}`, () => {
    let masters: Masters;

    beforeAll(async () => {
      masters = await Masters.start(count);
      await trouble(masters.servers);
    });

    afterAll(() => masters.stop());

    describeLockStrategy({
      name: `quorumLock on ${name}`,
      traits: { scope: 'shared', order: 'none', fencing: false },
      // The suite is run three times here, and waits for the end of many leases.
      lease: 800,
      create: () => quorumLock({ nodes: masters.urls }),
      worker: {
        file: require.resolve('./redlock.worker'),
        execArgv: ['--import', 'tsx'],
        env: () => ({ LOCK_REDIS_URLS: masters.urls.join(',') }),
      },
    });
  });
}
