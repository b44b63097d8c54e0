import { Redis } from 'ioredis';
import type { Contestant, ContestantOptions } from './contestant';

/** `effect-distributed-lock` with a limit of one: waiters are woken by a message, and it renews. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { Effect, ManagedRuntime } = await import('effect');
  const { DistributedSemaphore, RedisBacking } = await import('effect-distributed-lock');
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  const runtime = ManagedRuntime.make(RedisBacking.layer(redis as never));
  return {
    run: (name, work) =>
      runtime.runPromise(
        DistributedSemaphore.make(name, { limit: 1, ttl }).pipe(
          Effect.flatMap((semaphore) => semaphore.withPermits(1)(Effect.promise(work))),
        ),
      ),
    async close() {
      await runtime.dispose();
      redis.disconnect();
    },
  };
}
