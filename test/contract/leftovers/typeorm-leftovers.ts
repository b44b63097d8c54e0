import { openDataSource } from '../../support/typeorm/lock-data-source';

/** Transactions that are open in the database: a lock that is held is one. */
const OPEN = {
  postgres: `SELECT pid AS id FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'`,
  mariadb: `SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx t
    JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
    WHERE p.db = DATABASE() AND p.id <> CONNECTION_ID()`,
};

export async function transactionsIn(url: string): Promise<readonly string[]> {
  const dataSource = await openDataSource(url);
  try {
    const open = OPEN[dataSource.options.type === 'postgres' ? 'postgres' : 'mariadb'];
    const rows = await dataSource.query<readonly { readonly id: unknown }[]>(open);
    return rows.map(({ id }) => `the transaction of session ${String(id)}`);
  } finally {
    await dataSource.destroy();
  }
}
