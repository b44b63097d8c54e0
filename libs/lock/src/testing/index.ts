export { withoutLocks } from './without-locks.js';
