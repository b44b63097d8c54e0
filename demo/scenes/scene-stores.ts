import { randomBytes } from 'node:crypto';
import type { Environment, LockStrategyName } from '../../src/config/environment.js';
import {
  createPostgresDatabase,
  dropPostgresDatabase,
  startPostgres,
} from '../../test/support/servers/postgres-server.js';
import { provideServer } from '../../test/support/servers/provide-servers.js';
import { startRedis } from '../../test/support/servers/redis-server.js';

/** A server that the scenes share. */
interface Store {
  readonly url: string;
  stop(): Promise<void>;
}

/** What a scene's servers are told: the lock strategy with its address, and an empty database. */
export type SceneEnvironment = Partial<Environment> & { readonly POSTGRES_URL: string };

/** Redis, three more masters of it, and PostgreSQL: those of REDIS_URL, REDIS_URLS and POSTGRES_URL, else some of their own. */
export class SceneStores {
  private redis: Store | undefined;
  private masters: readonly Store[] | undefined;
  private redisMissing: string | undefined;
  private postgres: Store | undefined;
  private readonly databases: string[] = [];

  async startPostgres(): Promise<void> {
    this.postgres = givenStore(process.env.POSTGRES_URL) ?? (await startPostgres());
  }

  /** Installs Redis first where it is missing and can be installed, and says so. */
  async startRedis(say: (line: string) => void): Promise<void> {
    this.redis = givenStore(process.env.REDIS_URL);
    this.masters = givenStores(process.env.REDIS_URLS);
    if (this.redis && this.masters) return;
    try {
      await provideServer('redis', { say });
      this.redis ??= await startRedis();
      this.masters ??= await Promise.all([startRedis(), startRedis(), startRedis()]);
    } catch (error) {
      this.redisMissing = error instanceof Error ? error.message : String(error);
    }
  }

  /** Why a strategy can't be played, and what to do about it; undefined when it can. */
  missingFor(strategy: LockStrategyName): string | undefined {
    const isMissing = (strategy === 'redis' && !this.redis) || (strategy === 'quorum' && !this.masters);
    return isMissing ? this.redisMissing : undefined;
  }

  /** The environment of the shop's servers in one scene, with an empty database of its own. */
  async environmentFor(strategy: LockStrategyName): Promise<SceneEnvironment> {
    return {
      LOCK_STRATEGY: strategy,
      POSTGRES_URL: await this.emptyDatabase(),
      ...(strategy === 'redis' && this.redis ? { REDIS_URL: this.redis.url } : {}),
      ...(strategy === 'quorum' && this.masters
        ? { REDIS_URLS: this.masters.map(({ url }) => url).join(',') }
        : {}),
    };
  }

  async stop(): Promise<void> {
    const { postgres } = this;
    if (postgres) await Promise.all(this.databases.map((name) => dropPostgresDatabase(postgres.url, name)));
    const masters = this.masters ?? [];
    await Promise.all([this.redis?.stop(), postgres?.stop(), ...masters.map((master) => master.stop())]);
  }

  private async emptyDatabase(): Promise<string> {
    if (!this.postgres) throw new Error('PostgreSQL was not started');
    const name = `shop_${randomBytes(6).toString('hex')}`;
    const url = await createPostgresDatabase(this.postgres.url, name);
    this.databases.push(name);
    return url;
  }
}

function givenStore(url: string | undefined): Store | undefined {
  return url === undefined || url === '' ? undefined : { url, stop: () => Promise.resolve() };
}

function givenStores(urls: string | undefined): readonly Store[] | undefined {
  const stores = urls?.split(',').flatMap((url) => givenStore(url) ?? []);
  return stores?.length ? stores : undefined;
}
