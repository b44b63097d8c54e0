import { Logger } from '@nestjs/common';
import { quorumLock } from 'nestjs-distributed-lock/redlock';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { keysOf } from './leftovers/redis-leftovers';
import type { RedisServer } from '../support/servers/redis-server';
import { Masters } from '../support/redlock/masters';

// A node that is away is warned of, which is tried elsewhere.
Logger.overrideLogger(['error']);

interface Trouble {
  /** So many of the masters, the first ones, are in trouble. */
  readonly away: number;
  readonly begin: (master: RedisServer) => void | Promise<void>;
}

const NONE: Trouble = { away: 0, begin: () => undefined };

describeOn('three masters', 3);
describeOn('three masters, one of them frozen', 3, { away: 1, begin: (master) => master.pause() });
describeOn('five masters, two of them dead', 5, { away: 2, begin: (master) => master.kill() });

function describeOn(name: string, count: number, { away, begin }: Trouble = NONE): void {
  describe(`on ${name}`, () => {
    let masters: Masters;

    beforeAll(async () => {
      masters = await Masters.start(count);
      for (const master of masters.servers.slice(0, away)) await begin(master);
    });

    afterAll(() => masters.stop());

    describeLockStrategy({
      name: `quorumLock on ${name}`,
      traits: { scope: 'shared', order: 'none', fencing: false },
      // The suite is run three times here, and waits for the end of many leases.
      lease: 800,
      create: () => quorumLock({ nodes: masters.urls }),
      leftovers: () => keysOf(masters.urls.slice(away)),
      worker: {
        file: require.resolve('./redlock.worker'),
        execArgv: ['--import', 'tsx'],
        env: () => ({ LOCK_REDIS_URLS: masters.urls.join(',') }),
      },
    });
  });
}
