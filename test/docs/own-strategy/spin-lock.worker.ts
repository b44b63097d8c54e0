import { runContractWorker } from 'nestjs-distributed-lock/testing';
import { spinLock } from './spin-lock';

runContractWorker(() => spinLock(process.env['SPIN_REDIS_URL'] ?? ''));
