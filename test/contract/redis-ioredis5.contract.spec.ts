import { Redis as Redis5 } from 'ioredis5';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { startRedis, type RedisServer } from '../support/servers/redis-server';

let server: RedisServer;

beforeAll(async () => (server = await startRedis()));

afterAll(() => server.stop());

describeLockStrategy({
  name: 'redisLock with a client of ioredis 5',
  traits: { scope: 'shared', order: 'strict', fencing: true },
  create: () => {
    const client = new Redis5(server.url);
    return { factory: redisLock({ client }), dispose: async () => client.disconnect() };
  },
  leftovers: () => locksIn([server.url]),
  worker: {
    file: require.resolve('./redis-topologies.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_IOREDIS: '5', LOCK_REDIS_URL: server.url }),
  },
});
