import { redisLock } from 'nestjs-distributed-lock/redis';
import { runContractWorker } from 'nestjs-distributed-lock/testing';

runContractWorker(() => redisLock({ url: process.env.LOCK_REDIS_URL ?? '' }));
