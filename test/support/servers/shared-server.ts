import { randomBytes } from 'node:crypto';
import { createPostgresDatabase, dropPostgresDatabase, startPostgres } from './postgres-server';
import { startRedis } from './redis-server';

/** A server that a test may use but not break: somebody else may use it too. */
export interface SharedServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** The Redis of REDIS_URL, else one of our own. Lock names of a test must be its own. */
export async function sharedRedis(): Promise<SharedServer> {
  const url = process.env.REDIS_URL;
  return url === undefined || url === '' ? startRedis() : { url, stop: async () => undefined };
}

/** A new database on the PostgreSQL of POSTGRES_URL, else on one of our own. */
export async function sharedPostgres(): Promise<SharedServer> {
  const url = process.env.POSTGRES_URL;
  if (url === undefined || url === '') return startPostgres();
  const name = `lock_test_${randomBytes(6).toString('hex')}`;
  return { url: await createPostgresDatabase(url, name), stop: () => dropPostgresDatabase(url, name) };
}
