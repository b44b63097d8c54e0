export { LockModule } from './lock.module.js';
export type { LockModuleExtras } from './lock.module-definition.js';
export type { LockModuleOptions, LockModuleOptionsFactory } from './lock-module-options.js';

export { DistributedLock } from './method/distributed-lock.decorator.js';
export { ExclusiveJob } from './method/exclusive-job.decorator.js';
export type {
  LockDecorator,
  LockKey,
  LockKeyFunction,
  MethodLockOptions,
  WhenBusy,
} from './method/lock-decorator-types.js';

export { ClientHungUpException, DistributedLockInterceptor } from './http/distributed-lock.interceptor.js';
export { LockGraphqlException } from './http/handler-caller.js';
export { DistributedLockExceptionFilter } from './http/distributed-lock-exception.filter.js';
export type { LockedRequest, RequestKey, RequestLockOptions } from './http/keyed-interceptor.js';
export { LockHttpException, type LockHttpAnswer, type LockHttpOptions } from './http/lock-http-answers.js';

export type { LeadOptions } from './locking/leadership.js';
export { Lease } from './locking/lease.js';
export type { LockDefaults, LockOptions } from './locking/lock-call-options.js';
export { currentLease, withWaitSignal } from './locking/lock-context.js';
export {
  LockBusyError,
  LockConfigurationError,
  LockError,
  LockKeyError,
  LockLostError,
  LockNotOwnedError,
  LockShutdownError,
  LockTargetNotFoundError,
  LockUnavailableError,
  StaleLockError,
  type LockBusyDetails,
  type LockErrorCode,
  type LockErrorContext,
} from './locking/lock-error.js';
export { LockEvents, type LockEvent, type LockEventMap } from './locking/lock-events.js';
export { LockInstrumentation } from './locking/lock-instrumentation.js';
export { LONGEST_NAME, checkName, escapeSegment, resourceOf, unescapeSegment } from './locking/lock-name.js';
export { DEFAULT_STRATEGY, LockStrategies } from './locking/lock-strategies.js';
export {
  LockStrategy,
  type LeaseTransaction,
  type LockInspection,
  type LockRequest,
  type LockStrategyFactory,
  type LockTraits,
  type StrategyContext,
  type StrategyLease,
} from './locking/lock-strategy.js';
export { LockStrategyProvider } from './locking/lock-strategy.provider.js';
export {
  LockTransactions,
  type LockTransactionsFactory,
  type TransactionFence,
  type TransactionRequest,
} from './locking/lock-transactions.js';
export { LockService, type LockAcquireOptions, type LockRunOptions } from './locking/lock.service.js';

export { memoryLock, type MemoryLockOptions } from './strategies/memory/index.js';
