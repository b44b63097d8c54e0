export { quorumLock } from './quorum-lock.js';
export type { QuorumLockOptions, QuorumNodeOption } from './quorum-lock-options.js';
export type { QuorumRedisClient } from './node-connection.js';
