import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { startRedis, type RedisServer } from '../support/servers/redis-server';

let server: RedisServer;

beforeAll(async () => (server = await startRedis()));

afterAll(() => server.stop());

describeLockStrategy({
  name: 'redisLock on one Redis',
  traits: { scope: 'shared', order: 'strict', fencing: true },
  create: () => redisLock({ url: server.url }),
  worker: {
    file: require.resolve('./redis.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_REDIS_URL: server.url }),
  },
});
