import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { dataSourceOf } from './data-source-of.js';
import type { Dialect, DriverConnection, StatementResult } from './dialect.js';
import { within } from './wait-limit.js';

/**
 * An open transaction around the call that something else began, and will end: `typeorm-transactional`, or whatever the
 * option `currentManager` knows.
 */
export function foreignTransaction(
  dataSource: DataSource,
  dialect: Dialect,
  currentManager?: () => EntityManager | undefined,
): ForeignTransaction | undefined {
  const runner = activeRunner(currentManager?.(), dataSource) ?? activeRunner(dataSource.manager, dataSource);
  if (runner === undefined) return undefined;
  let foreign = known.get(runner);
  if (foreign === undefined) {
    foreign = new ForeignTransaction(runner, dialect);
    known.set(runner, foreign);
  }
  return foreign;
}

export class ForeignTransaction {
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly runner: QueryRunner,
    private readonly dialect: Dialect,
  ) {}

  /** Calls the listener when the connection ended by itself; returns how to stop that. */
  async onLost(listener: (reason: string) => void): Promise<() => void> {
    const connection = await this.connection();
    return connection.onEnd((error) => listener(error?.message ?? 'the server ended the connection'));
  }

  /** Runs statements of ours, one set after another, and undoes what fails. */
  exclusively(
    statements: string,
    undo: string,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly StatementResult[]> {
    const result = this.last.then(async () => {
      const connection = await this.connection();
      try {
        return await within(connection.run(statements), limit, signal);
      } catch (error) {
        // Behind a statement that still waits for the lock, this waits until that is over, too.
        await connection.run(undo).catch(() => undefined);
        throw error;
      }
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  private async connection(): Promise<DriverConnection> {
    return this.dialect.connectionOf((await this.runner.connect()) as unknown);
  }
}

const known = new WeakMap<QueryRunner, ForeignTransaction>();

function activeRunner(manager: EntityManager | undefined, dataSource: DataSource): QueryRunner | undefined {
  const runner = manager?.queryRunner;
  if (manager === undefined || runner === undefined || dataSourceOf(manager) !== dataSource) return undefined;
  return runner.isTransactionActive && !runner.isReleased ? runner : undefined;
}
