import type { MigrationInterface, QueryRunner } from 'typeorm';
import { dataSourceOf } from './data-source-of.js';
import { dialectOf } from './dialect-of.js';
import { lockTableOf } from './lock-table.js';

/**
 * Creates the lock table and its sequence: add it to the `migrations` of the data source that `typeormLock()` or
 * `typeormTransactions()` uses.
 *
 * @publicApi
 */
export class CreateDistributedLock1767225600000 implements MigrationInterface {
  /** Said here as well, for a minifier may rename the class, and TypeORM wants the time at the end. */
  readonly name = 'CreateDistributedLock1767225600000';

  async up(queryRunner: QueryRunner): Promise<void> {
    const dataSource = dataSourceOf(queryRunner);
    for (const statement of dialectOf(dataSource).createTable(lockTableOf(dataSource))) {
      await queryRunner.query(statement);
    }
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    const dataSource = dataSourceOf(queryRunner);
    for (const statement of dialectOf(dataSource).dropTable(lockTableOf(dataSource))) {
      await queryRunner.query(statement);
    }
  }
}
