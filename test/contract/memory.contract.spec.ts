import { memoryLock } from 'nestjs-distributed-lock';
import { describeLockStrategy } from 'nestjs-distributed-lock/testing';

describeLockStrategy({
  name: 'memoryLock',
  traits: { scope: 'process', order: 'strict', fencing: true },
  create: () => memoryLock(),
});
