export { redisLock, type RedisLockOptions } from './redis-lock.js';
export type { RedisClient } from './connection-source.js';
