import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { startSentinels, type SentinelTrio } from '../support/servers/redis-sentinel';

let servers: SentinelTrio;

beforeAll(async () => (servers = await startSentinels()), 120_000);

afterAll(() => servers.stop());

describeLockStrategy({
  name: 'redisLock behind Sentinel',
  traits: { scope: 'shared', order: 'strict', fencing: true },
  create: () => redisLock({ options: { sentinels: servers.addresses, name: servers.name } }),
  leftovers: async () => locksIn([(await servers.master()).url]),
  worker: {
    file: require.resolve('./redis-topologies.worker'),
    execArgv: ['--import', 'tsx'],
    env: () => ({ LOCK_SENTINELS: JSON.stringify(servers.addresses), LOCK_SENTINEL_NAME: servers.name }),
  },
});
