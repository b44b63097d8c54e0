import { setTimeout as pause } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { eventually } from '../../support/eventually';
import { startMariadb } from '../../support/servers/mariadb-server';
import { startPostgres } from '../../support/servers/postgres-server';
import type { DatabaseServer } from '../../support/typeorm/lock-bench';
import { openDataSource, prepareDatabase } from '../../support/typeorm/lock-data-source';
import type { Call } from '../history/history';
import type { StoreFault } from '../schedule/fault-schedule';
import type { Damage, FaultSubject, OpenSubject } from './fault-subject';
import { CREATE_LEDGER, damageOf } from './ledger';

/** What is asked of a database in its own words. */
interface Dialect {
  readonly name: string;
  start(): Promise<DatabaseServer>;
  /** Statements that end every other connection. */
  endOthers(dataSource: DataSource): Promise<void>;
  /** Sessions of others, open transactions, and locks: the column `line` says which. */
  readonly leftovers: string;
}

const POSTGRES: Dialect = {
  name: 'PostgreSQL',
  start: () => startPostgres(),
  endOthers: async (dataSource) => {
    await dataSource.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
    );
  },
  leftovers: `
    SELECT 'a session: ' || coalesce(state, '') || ' ' || query AS line FROM pg_stat_activity
     WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
    UNION ALL SELECT 'an advisory lock: ' || objid FROM pg_locks WHERE locktype = 'advisory'`,
};

const MARIADB: Dialect = {
  name: 'MariaDB',
  // What is committed has to outlive a crash of the server, though not one of the machine.
  start: () => startMariadb({ args: ['--innodb-flush-log-at-trx-commit=2'] }),
  endOthers: async (dataSource) => {
    const others = await dataSource.query<{ id: number }[]>(
      "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'lock'",
    );
    // Some have ended meanwhile.
    for (const { id } of others) await dataSource.query(`KILL ${Number(id)}`).catch(() => undefined);
  },
  leftovers: `
    SELECT concat('a session: ', command, ' ', coalesce(info, '')) AS line FROM information_schema.processlist
     WHERE id <> connection_id() AND user = 'lock'
    UNION ALL SELECT concat('a transaction: ', trx_state) FROM information_schema.innodb_trx`,
};

export const typeormPostgresSubject = subjectOn(POSTGRES);
export const typeormMariadbSubject = subjectOn(MARIADB);

/**
 * A transaction in a database. It ends with its connection, at once, and its holder hears of it a little later: in this
 * gap two may be inside, and the first of them can't commit any more. So what such faults excuse in the history must
 * not show in the data.
 */
function subjectOn(dialect: Dialect): FaultSubject {
  return {
    name: `typeormLock on ${dialect.name}`,
    recipe: require.resolve('./typeorm.recipe'),
    scope: 'shared',
    processes: 3,
    tasks: 4,
    // MariaDB counts in whole seconds.
    lease: 2_000,
    faults: [
      ...(['kill', 'leave', 'stop', 'delay', 'silence', 'cut'] as const),
      ...(['restart-keep', 'freeze', 'client-kill'] as const),
    ],
    promises: {
      order: 'process',
      fencing: true,
      deadHolder: 'is noticed',
      patience: 10_000,
      aftermath: 2_000,
      answer: 1_000,
      excuses: {
        exclusion: ['cut', 'client-kill', 'restart-keep'],
        orderWhileWaiting: [
          ...['stop', 'stall', 'leave', 'delay', 'silence', 'cut'],
          ...['client-kill', 'freeze', 'restart-keep'],
        ],
        orderWhileArriving: [],
        longest: 4_000,
      },
    },
    open: async () => {
      const server = await dialect.start();
      const dataSource = await openDataSource(server.url);
      await prepareDatabase(dataSource);
      await dataSource.query(CREATE_LEDGER);
      await dataSource.destroy();
      return new OpenDatabase(server, dialect);
    },
  };
}

class OpenDatabase implements OpenSubject {
  readonly urls: readonly string[];
  private restarts = 0;

  constructor(
    private readonly server: DatabaseServer,
    private readonly dialect: Dialect,
  ) {
    this.urls = [server.url];
  }

  async inject(kind: StoreFault, duration: number): Promise<void> {
    const { server } = this;
    switch (kind) {
      case 'restart-keep':
        // Every second restart is a crash, the first one among them.
        this.restarts += 1;
        if (this.restarts % 2 === 1) await server.kill();
        return server.restart();
      case 'freeze':
        server.pause();
        await pause(duration);
        return server.resume();
      case 'client-kill':
        return this.connected((dataSource) => this.dialect.endOthers(dataSource));
      default:
        throw new Error(`A database can't have the fault ${kind}.`);
    }
  }

  /** Transactions, sessions and locks end with their processes. The lock table keeps a row a key, for a week. */
  residue(): Promise<readonly string[]> {
    return this.connected(async (dataSource) => {
      const left = (): Promise<{ line: unknown }[]> => dataSource.query(this.dialect.leftovers);
      await eventually('the sessions of the dead end', async () => (await left()).length === 0).catch(
        () => undefined,
      );
      return (await left()).map(({ line }) => `there is left ${String(line)}`);
    });
  }

  damage(calls: readonly Call[]): Promise<readonly Damage[]> {
    return this.connected((dataSource) => damageOf(dataSource, calls));
  }

  close(): Promise<void> {
    return this.server.stop();
  }

  /** By connections that are made for it: none of ours outlives a restart. */
  private async connected<T>(work: (dataSource: DataSource) => Promise<T>): Promise<T> {
    const dataSource = await openDataSource(this.server.url, { poolSize: 1 });
    try {
      return await work(dataSource);
    } finally {
      await dataSource.destroy();
    }
  }
}
