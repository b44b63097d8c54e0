import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { startRedis, type RedisServer } from '../support/servers/redis-server';
import { WITHOUT_SHARDS } from '../support/redis/without-shards';

let server: RedisServer;

beforeAll(async () => (server = await startRedis({ args: WITHOUT_SHARDS })));

afterAll(() => server.stop());

/** What depends on messages: all else is the same as on any other server. */
const DEPENDS_ON_MESSAGES =
  /^(loses no update|stops waiting when|grants|passes over|gives no lock|lets the next in after|can be released|leaves)/;

describeLockStrategy(
  {
    name: 'redisLock on a Redis without sharded channels',
    traits: { scope: 'shared', order: 'strict', fencing: true },
    create: () => redisLock({ url: server.url }),
    leftovers: () => locksIn([server.url]),
    worker: {
      file: require.resolve('./redis.worker'),
      execArgv: ['--import', 'tsx'],
      env: () => ({ LOCK_REDIS_URL: server.url }),
    },
  },
  {
    describe,
    afterEach,
    afterAll,
    it: (title, body, limit) => {
      if (DEPENDS_ON_MESSAGES.test(title)) it(title, body, limit);
    },
  },
);
