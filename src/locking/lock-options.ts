import type { ConfigService } from '@nestjs/config';
import { type LockModuleOptions, type LockStrategyFactory, memoryLock } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { quorumLock } from 'nestjs-distributed-lock/redlock';
import { typeormLock, typeormTransactions } from 'nestjs-distributed-lock/typeorm';
import type { Environment, LockStrategyName } from '../config/environment.js';
import { Stock } from '../stock/stock.entity.js';
import { noLock } from './no-lock.js';

/** The strategy is swapped in one line: nothing else in the shop knows which one it is. */
export function lockOptions(config: ConfigService<Environment, true>): LockModuleOptions {
  const strategies: Record<LockStrategyName, () => LockStrategyFactory> = {
    none: () => noLock(),
    memory: () => memoryLock(),
    redis: () => redisLock({ url: config.get('REDIS_URL') }),
    quorum: () => quorumLock({ nodes: config.get<string>('REDIS_URLS').split(',') }),
    typeorm: () => typeormLock({ resources: { stock: Stock } }),
  };
  return {
    strategy: strategies[config.get('LOCK_STRATEGY', { infer: true })](),
    transactions: typeormTransactions(),
    defaults: { waitTime: config.get('LOCK_WAIT_TIME') },
  };
}
