import { createClient } from 'redis';
import { type Contestant, type ContestantOptions, PATIENCE, takingTurns } from './contestant';

const PAUSE = 200;

/** `@redis-kit/lock` on one server, with its own pauses (200 ms ± 100). Without its renewal. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { Redlock } = await import('@redis-kit/lock');
  const client = createClient({ url });
  client.on('error', () => undefined);
  await client.connect();
  const redlock = new Redlock([client as never], {
    retryDelayMs: PAUSE,
    maxRetryAttempts: PATIENCE / PAUSE,
  });
  return takingTurns(
    async (name) => {
      const lock = await redlock.acquire(name, ttl);
      if (lock === null) throw new Error('it gave up');
      return lock;
    },
    () => client.close(),
  );
}
