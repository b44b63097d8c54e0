import { redisLock } from 'nestjs-distributed-lock/redis';
import { type Contestant, type ContestantOptions, PATIENCE, takingTurns } from './contestant';

/** The library's own: first come, first served, told by a message, with a fencing token, renewed while it is held. */
export async function open({ url, ttl, bypass }: ContestantOptions): Promise<Contestant> {
  const strategy = redisLock({ url, bypass })({
    strategy: 'redis',
    get: () => {
      throw new Error('nothing is injected');
    },
  });
  await strategy.connect?.();
  return takingTurns(
    (name) => strategy.acquire({ name, waitTime: PATIENCE, ttl, holdAtLeast: 0 }),
    async () => strategy.close?.(),
  );
}
