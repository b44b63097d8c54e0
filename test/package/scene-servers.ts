import { randomBytes } from 'node:crypto';
import { type PostgresServer, startPostgres } from '../support/servers/postgres-server.js';
import { provideServer } from '../support/servers/provide-servers.js';
import { type RedisServer, startRedis } from '../support/servers/redis-server.js';
import { stopServersOf } from '../support/servers/throwaway-server.js';
import type { SceneEnvironment } from './consumer-project.js';

/** The servers that all scenes share; each gets a database and a prefix of its own. */
export class SceneServers {
  private constructor(
    private readonly postgres: PostgresServer,
    private readonly redis: RedisServer,
    private readonly masters: readonly RedisServer[],
  ) {}

  /** @param say - told what is done to this machine, where Redis has to be installed first */
  static async start(say: (line: string) => void): Promise<SceneServers> {
    await provideServer('redis', { say });
    await provideServer('mariadb', { say });
    const [postgres, redis, ...masters] = await Promise.all([
      startPostgres(),
      ...[startRedis(), startRedis(), startRedis(), startRedis()],
    ]);
    return new SceneServers(postgres, redis, masters);
  }

  async environment(): Promise<SceneEnvironment> {
    return {
      REDIS_URL: this.redis.url,
      QUORUM_URLS: this.masters.map(({ url }) => url).join(),
      POSTGRES_URL: await this.postgres.createDatabase(),
      LOCK_PREFIX: `scene-${randomBytes(6).toString('hex')}:`,
    };
  }
}

export function stopSceneServers(): Promise<void> {
  return stopServersOf(globalThis);
}
