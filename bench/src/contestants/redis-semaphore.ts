import { Redis } from 'ioredis';
import { type Contestant, type ContestantOptions, PATIENCE, takingTurns } from './contestant';

/** `Mutex` of `redis-semaphore`, with its own pauses (10 ms) and its renewal. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { Mutex } = await import('redis-semaphore');
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  return takingTurns(
    async (name) => {
      const mutex = new Mutex(redis, name, { lockTimeout: ttl, acquireTimeout: PATIENCE });
      await mutex.acquire();
      return mutex;
    },
    () => redis.quit(),
  );
}
