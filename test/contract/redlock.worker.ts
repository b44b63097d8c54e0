import { quorumLock } from 'nestjs-distributed-lock/redlock';
import { runContractWorker } from 'nestjs-distributed-lock/testing';

runContractWorker(() => quorumLock({ nodes: (process.env.LOCK_REDIS_URLS ?? '').split(',') }));
