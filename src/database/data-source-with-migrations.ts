import { DataSource, type DataSourceOptions } from 'typeorm';

/** Any number that all servers of the shop agree on. */
const MIGRATIONS = 7_046_209;

/** Connects, and brings the tables up to date: one server at a time, for TypeORM itself lets two collide. */
export async function dataSourceWithMigrations(options?: DataSourceOptions): Promise<DataSource> {
  if (!options) throw new Error('The database has no options');
  const dataSource = await new DataSource(options).initialize();
  const turn = dataSource.createQueryRunner();
  try {
    await turn.query('SELECT pg_advisory_lock($1)', [MIGRATIONS]);
    await dataSource.runMigrations();
    await turn.query('SELECT pg_advisory_unlock($1)', [MIGRATIONS]);
    await turn.release();
    return dataSource;
  } catch (error) {
    // Ends the session too, and the advisory lock with it.
    await dataSource.destroy();
    throw error;
  }
}
