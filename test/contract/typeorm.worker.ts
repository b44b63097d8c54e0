import { runContractWorker } from 'nestjs-distributed-lock/testing';
import { typeormSetup } from './typeorm-setup';

runContractWorker(() => typeormSetup(process.env.LOCK_DATABASE_URL ?? ''));
