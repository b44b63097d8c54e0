import { Redis } from 'ioredis';
import { type Contestant, type ContestantOptions, PATIENCE, takingTurns } from './contestant';

const PAUSE = 100;

/** `createLock` of `redlock-universal` in its lean mode, with its own pauses (100 ms). Without its renewal. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { createLock, IoredisAdapter } = await import('redlock-universal');
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  const adapter = new IoredisAdapter(redis as never);
  return takingTurns(
    async (key) => {
      const lock = createLock({
        adapter,
        key,
        ttl,
        retryDelay: PAUSE,
        retryAttempts: PATIENCE / PAUSE,
        performance: 'lean',
      });
      const handle = await lock.acquire();
      return { release: () => lock.release(handle) };
    },
    () => redis.quit(),
  );
}
