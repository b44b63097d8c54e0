export { Arena } from './arena.js';
export { runContractWorker } from './contender/run-contract-worker.js';
export { CONTRACT_CASES } from './contract-cases.js';
export type { ContractCase } from './contract-case.js';
export { ContractViolation } from './contract-violation.js';
export { describeLockStrategy, type TestRunner } from './describe-lock-strategy.js';
export type { StrategyRecipe, StrategySetup, StrategyUnderTest, WorkerFile } from './strategy-under-test.js';
export {
  LockTestingModule,
  replaceLocks,
  type LockTestingOptions,
  type ReplacesProviders,
} from './lock-testing.module.js';
export { TestLocks, type TestLockEntry } from './test-locks.js';
export { withoutLocks } from './without-locks.js';
