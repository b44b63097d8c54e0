import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Contestant, type ContestantOptions, takingTurns } from './contestant';

const COMPARE_AND_DELETE =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
const PAUSE = 10;

interface WithScript {
  compareAndDelete(key: string, value: string): Promise<number>;
}

/** The least that a lock in Redis takes: SET NX PX, compare and delete. No order, no token, no renewal, no wake-up. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  redis.defineCommand('compareAndDelete', { numberOfKeys: 1, lua: COMPARE_AND_DELETE });
  const { compareAndDelete } = redis as unknown as WithScript;
  const release = compareAndDelete.bind(redis);
  return takingTurns(
    async (name) => {
      const value = randomUUID();
      while ((await redis.set(name, value, 'PX', ttl, 'NX')) === null) await sleep(PAUSE);
      return { release: () => release(name, value) };
    },
    () => redis.quit(),
  );
}
