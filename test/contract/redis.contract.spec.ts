import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { sharedRedis, type SharedServer } from '../support/servers/shared-server';

let server: SharedServer;

beforeAll(async () => (server = await sharedRedis()));

afterAll(() => server.stop());

describeLockStrategy({
  name: 'redisLock on one Redis',
  traits: { scope: 'shared', order: 'strict', fencing: true },
  create: () => redisLock({ url: server.url }),
  leftovers: () => locksIn([server.url]),
  worker: {
    file: require.resolve('./redis.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_REDIS_URL: server.url }),
  },
});
