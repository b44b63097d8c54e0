export { CreateDistributedLock1767225600000 } from './create-distributed-lock.migration.js';
export { currentEntityManager } from './current-entity-manager.js';
export type { FencedBy, RowLockMode } from './dialect.js';
export { DistributedLockEntity } from './distributed-lock.entity.js';
export type { MappedResource, MappedResources } from './mapped-resources.js';
export { typeormLock } from './typeorm-lock.js';
export type { TypeormLockOptions } from './typeorm-lock-options.js';
export { typeormTransactions } from './typeorm-transactions.js';
export type { TypeormTransactionsOptions } from './typeorm-transactions.js';
