export { memoryLock, type MemoryLockOptions } from './memory-lock.js';
