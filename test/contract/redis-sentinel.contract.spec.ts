import { Redis as Redis5 } from 'ioredis5';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { describeLockStrategy, type StrategySetup } from 'nestjs-distributed-lock/testing';
import { locksIn } from './leftovers/redis-leftovers';
import { startSentinels, type SentinelTrio } from '../support/servers/redis-sentinel';

let servers: SentinelTrio;

beforeAll(async () => (servers = await startSentinels()), 120_000);

afterAll(() => servers.stop());

describe.each<[string, () => StrategySetup]>([
  ['a connection of our own', () => ({ factory: redisLock({ options: address() }) })],
  [
    'a client of ioredis 5',
    () => {
      const client = new Redis5(address());
      return { factory: redisLock({ client }), dispose: async () => client.disconnect() };
    },
  ],
])('with %s', (what, create) => {
  describeLockStrategy({
    name: 'redisLock behind Sentinel',
    traits: { scope: 'shared', order: 'strict', fencing: true },
    create,
    leftovers: async () => locksIn([(await servers.master()).url]),
    worker: {
      file: require.resolve('./redis-topologies.worker'),
      execArgv: ['--import', 'tsx'],
      env: () => ({
        LOCK_IOREDIS: what.endsWith('5') ? '5' : '6',
        LOCK_SENTINELS: JSON.stringify(servers.addresses),
        LOCK_SENTINEL_NAME: servers.name,
      }),
    },
  });
});

function address() {
  return { sentinels: [...servers.addresses], name: servers.name };
}
