import { startPostgres } from './postgres-server';
import { startRedis } from './redis-server';

/** Starts two servers, tells their process ids and never stops them: a part of throwaway-server.spec.ts. */
async function main(): Promise<void> {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  if (process.argv.includes('paused')) postgres.pause();
  process.send?.([redis.pid, postgres.pid]);
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

void main();
