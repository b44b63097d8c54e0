import { Redis } from 'ioredis';

/** A free lock is its counter alone, which goes away by itself: 16 characters. */
const FREE = 16;

/** Keys in these servers that say that somebody holds a lock of the contract suite, or waits for one. */
export async function locksIn(urls: readonly string[]): Promise<readonly string[]> {
  return keysIn(urls, async (redis, key) => {
    const isString = (await redis.type(key)) === 'string';
    return !isString || (await redis.strlen(key)) > FREE;
  });
}

/** Keys of the contract suite, all that there are. */
export async function keysOf(urls: readonly string[]): Promise<readonly string[]> {
  return keysIn(urls, () => Promise.resolve(true));
}

async function keysIn(
  urls: readonly string[],
  counts: (redis: Redis, key: string) => Promise<boolean>,
): Promise<readonly string[]> {
  const left = await Promise.all(
    urls.map(async (url) => {
      const redis = new Redis(url);
      try {
        const found: string[] = [];
        for (const key of await redis.keys('*contract:*')) if (await counts(redis, key)) found.push(key);
        return found;
      } finally {
        redis.disconnect();
      }
    }),
  );
  return left.flat();
}
