import type { LockRequest, LockStrategy } from 'nestjs-distributed-lock';
import { redisLock, type RedisLockOptions } from 'nestjs-distributed-lock/redis';

/** Strategies as several processes would have them, without an application; closed together. */
export class RedisLocks {
  private readonly made: LockStrategy[] = [];

  /** @param place - where their Redis is, asked when one is made. */
  constructor(private readonly place: () => RedisLockOptions) {}

  instance(options: Partial<RedisLockOptions> = {}): LockStrategy {
    const factory = redisLock({ ...this.place(), ...options });
    const strategy = factory({ strategy: 'redis', get: () => undefined as never });
    this.made.push(strategy);
    return strategy;
  }

  async connected(options: Partial<RedisLockOptions> = {}): Promise<LockStrategy> {
    const strategy = this.instance(options);
    await strategy.connect?.();
    return strategy;
  }

  async close(): Promise<void> {
    await Promise.all(this.made.splice(0).map(async (strategy) => strategy.close?.()));
  }
}

/** Asks for a lock with time to spare. */
export function request(change: Partial<LockRequest> = {}): LockRequest {
  return { name: 'stock:1', waitTime: 20_000, ttl: 10_000, holdAtLeast: 0, ...change };
}
