import { Redis } from 'ioredis';
import { type Contestant, type ContestantOptions, takingTurns } from './contestant';

/** `@sesamecare-oss/redlock` on one server, with its own pauses (200 ms ± 100), trying for ever. Without its renewal. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { Redlock } = await import('@sesamecare-oss/redlock');
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  const redlock = new Redlock([redis], { retryCount: -1 });
  redlock.on('error', () => undefined);
  return takingTurns(
    (name) => redlock.acquire([name], ttl),
    () => redis.quit(),
  );
}
