import { Cluster } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { runContractWorker, type StrategySetup } from 'nestjs-distributed-lock/testing';

type Address = { readonly host: string; readonly port: number };

runContractWorker(setup);

/** As the test that started this process says. */
function setup(): StrategySetup {
  const { LOCK_SENTINELS, LOCK_SENTINEL_NAME, LOCK_CLUSTER, LOCK_IOREDIS5_URL } = process.env;
  if (LOCK_SENTINELS !== undefined) {
    const sentinels = JSON.parse(LOCK_SENTINELS) as Address[];
    return { factory: redisLock({ options: { sentinels, name: LOCK_SENTINEL_NAME } }) };
  }
  const client =
    LOCK_CLUSTER === undefined
      ? new Redis5(LOCK_IOREDIS5_URL ?? '')
      : new Cluster(JSON.parse(LOCK_CLUSTER) as Address[]);
  return { factory: redisLock({ client }), dispose: async () => client.disconnect() };
}
