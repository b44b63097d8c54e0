import * as ioredis6 from 'ioredis';
import * as ioredis5 from 'ioredis5';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { runContractWorker, type StrategySetup } from 'nestjs-distributed-lock/testing';

type Address = { readonly host: string; readonly port: number };
type Client = ioredis5.Redis | ioredis5.Cluster | ioredis6.Redis | ioredis6.Cluster;

interface Ioredis {
  readonly Cluster: new (nodes: Address[]) => Client;
  readonly Redis: {
    new (url: string): Client;
    new (options: { sentinels: Address[]; name: string | undefined }): Client;
  };
}

runContractWorker(setup);

/** As the test that started this process says. */
function setup(): StrategySetup {
  const client = clientOf(process.env.LOCK_IOREDIS === '5' ? ioredis5 : ioredis6);
  return { factory: redisLock({ client }), dispose: async () => client.disconnect() };
}

function clientOf({ Cluster, Redis }: Ioredis): Client {
  const { LOCK_SENTINELS, LOCK_SENTINEL_NAME, LOCK_CLUSTER, LOCK_REDIS_URL } = process.env;
  if (LOCK_CLUSTER !== undefined) return new Cluster(JSON.parse(LOCK_CLUSTER) as Address[]);
  if (LOCK_SENTINELS === undefined) return new Redis(LOCK_REDIS_URL ?? '');
  return new Redis({ sentinels: JSON.parse(LOCK_SENTINELS) as Address[], name: LOCK_SENTINEL_NAME });
}
