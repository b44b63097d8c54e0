import type { LockRequest, LockStrategy, LockTransactions } from 'nestjs-distributed-lock';
import {
  typeormLock,
  type TypeormLockOptions,
  typeormTransactions,
  type TypeormTransactionsOptions,
} from 'nestjs-distributed-lock/typeorm';
import type { DataSource } from 'typeorm';
import { startMariadb } from '../servers/mariadb-server';
import { startPostgres } from '../servers/postgres-server';
import type { ThrowawayServer } from '../servers/throwaway-server';
import { contextOf, type LockDataSourceOptions, openDataSource, prepareDatabase } from './lock-data-source';

/** A server that tests may break. */
export interface DatabaseServer extends ThrowawayServer {
  readonly url: string;
  restart(): Promise<void>;
}

/** The databases that the strategy is tried on. */
export const DATABASES: readonly { readonly database: string; start(): Promise<DatabaseServer> }[] = [
  { database: 'PostgreSQL', start: () => startPostgres() },
  { database: 'MariaDB', start: () => startMariadb() },
];

/** A database of a test file's own, with strategies and data sources on it that are closed after each test. */
export class LockBench {
  private readonly strategies: LockStrategy[] = [];
  private readonly sources: DataSource[] = [];

  private constructor(
    readonly server: DatabaseServer,
    /** One that is open as long as the bench: for preparing and looking. */
    readonly dataSource: DataSource,
  ) {}

  static async open(start: () => Promise<DatabaseServer>): Promise<LockBench> {
    const server = await start();
    const dataSource = await openDataSource(server.url);
    await prepareDatabase(dataSource);
    return new LockBench(server, dataSource);
  }

  async openDataSource(options: LockDataSourceOptions = {}): Promise<DataSource> {
    const dataSource = await openDataSource(this.server.url, options);
    this.sources.push(dataSource);
    return dataSource;
  }

  strategy(options: TypeormLockOptions = {}, dataSource: DataSource = this.dataSource): LockStrategy {
    const strategy = typeormLock(options)(contextOf(dataSource));
    this.strategies.push(strategy);
    return strategy;
  }

  transactions(
    options: TypeormTransactionsOptions = {},
    dataSource: DataSource = this.dataSource,
  ): LockTransactions {
    return typeormTransactions(options)(contextOf(dataSource));
  }

  /** Ends what a test has opened. */
  async clear(): Promise<void> {
    for (const strategy of this.strategies.splice(0)) await strategy.close?.();
    for (const dataSource of this.sources.splice(0)) if (dataSource.isInitialized) await dataSource.destroy();
  }

  async close(): Promise<void> {
    await this.clear();
    await this.dataSource.destroy();
    await this.server.stop();
  }
}

export function wish(name: string, request: Partial<LockRequest> = {}): LockRequest {
  return { name, waitTime: 10_000, ttl: 10_000, holdAtLeast: 0, ...request };
}

/** How a promise ended: the error's code, or 'fine'. */
export function outcome(pending: Promise<unknown>): Promise<string> {
  return pending.then(
    () => 'fine',
    (error: { readonly code?: string; readonly message?: string }) => error.code ?? String(error.message),
  );
}
