import { Cluster } from 'ioredis';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { startRedisCluster, type RedisCluster } from '../support/servers/redis-cluster';

let servers: RedisCluster;

beforeAll(async () => (servers = await startRedisCluster()));

afterAll(() => servers.stop());

describeLockStrategy({
  name: 'redisLock in a Cluster',
  traits: { scope: 'shared', order: 'strict', fencing: true },
  create: () => {
    const client = new Cluster([...servers.nodes]);
    return { factory: redisLock({ client }), dispose: async () => client.disconnect() };
  },
  leftovers: () => locksIn(servers.servers.map(({ url }) => url)),
  worker: {
    file: require.resolve('./redis-topologies.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_CLUSTER: JSON.stringify(servers.nodes) }),
  },
});
