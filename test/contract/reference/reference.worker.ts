import type { LockTraits } from 'nestjs-distributed-lock';
import { runContractWorker } from 'nestjs-distributed-lock/testing';
import { referenceLock } from './reference-lock';

const { REFERENCE_PORT, REFERENCE_TRAITS } = process.env;

runContractWorker(() =>
  referenceLock({
    port: Number(REFERENCE_PORT),
    traits: JSON.parse(REFERENCE_TRAITS ?? '{}') as LockTraits,
  }),
);
