import { Cluster } from 'ioredis';
import { Cluster as Cluster5 } from 'ioredis5';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { startRedisCluster, type RedisCluster } from '../support/servers/redis-cluster';

let servers: RedisCluster;

beforeAll(async () => (servers = await startRedisCluster()));

afterAll(() => servers.stop());

describe.each([
  ['6', () => new Cluster([...servers.nodes])],
  ['5', () => new Cluster5([...servers.nodes])],
])('with a client of ioredis %s', (version, connect) => {
  describeLockStrategy({
    name: 'redisLock in a Cluster',
    traits: { scope: 'shared', order: 'strict', fencing: true },
    create: () => {
      const client = connect();
      return { factory: redisLock({ client }), dispose: async () => client.disconnect() };
    },
    leftovers: () => locksIn(servers.servers.map(({ url }) => url)),
    worker: {
      file: require.resolve('./redis-topologies.worker'),
      execArgv: ['--import', 'tsx'],
      env: () => ({ LOCK_IOREDIS: version, LOCK_CLUSTER: JSON.stringify(servers.nodes) }),
    },
  });
});
