import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { startRedis, type RedisServer } from '../../support/servers/redis-server';
import { spinLock } from './spin-lock';

let redis: RedisServer;
beforeAll(async () => (redis = await startRedis()));
afterAll(() => redis.stop());

describeLockStrategy({
  name: 'spinLock',
  traits: { scope: 'shared', order: 'none', fencing: false },
  create: () => spinLock(redis.url),
  worker: {
    file: require.resolve('./spin-lock.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ SPIN_REDIS_URL: redis.url }),
  },
});
