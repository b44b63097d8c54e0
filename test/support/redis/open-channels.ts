import type { Redis } from 'ioredis';

/** Channels with a subscriber: sharded ones, which Redis 6 has not, and plain ones. */
export async function openChannels(redis: Redis, pattern: string): Promise<readonly string[]> {
  const sharded = await redis.call('PUBSUB', 'SHARDCHANNELS', pattern).catch((error: unknown) => {
    if (/unknown subcommand/i.test(String(error))) return [];
    throw error;
  });
  const plain = await redis.call('PUBSUB', 'CHANNELS', pattern);
  return [...(sharded as string[]), ...(plain as string[])];
}
