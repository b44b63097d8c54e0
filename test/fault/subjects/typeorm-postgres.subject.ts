import { Client } from 'pg';
import { eventually } from '../../support/eventually';
import { type PostgresServer, startPostgres } from '../../support/servers/postgres-server';
import { openDataSource, prepareDatabase } from '../../support/typeorm/lock-data-source';
import type { StoreFault } from '../schedule/fault-schedule';
import type { FaultSubject, OpenSubject } from './fault-subject';

/**
 * A transaction on PostgreSQL. It ends with its connection, at once, and its holder hears of it a little later: in this
 * gap two may be inside, and the first of them can't commit any more. So what such faults excuse in the history must
 * not show in the data.
 */
export const typeormPostgresSubject: FaultSubject = {
  name: 'typeormLock on PostgreSQL',
  recipe: require.resolve('./typeorm-postgres.recipe'),
  scope: 'shared',
  processes: 3,
  tasks: 4,
  lease: 1_500,
  faults: [
    ...(['kill', 'leave', 'stop', 'delay', 'silence', 'cut', 'restart-keep', 'freeze'] as const),
    'client-kill',
  ],
  promises: {
    order: 'process',
    fencing: true,
    deadHolder: 'is noticed',
    patience: 10_000,
    excuses: {
      // A query that was sent, and that a silent network or a frozen server never received, leaves the transaction idle
      // for the server, and busy for its holder: the server may end it first.
      exclusion: ['cut', 'client-kill', 'restart-keep', 'freeze', 'silence'],
      orderWhileWaiting: [
        'stop',
        'stall',
        'leave',
        'delay',
        'silence',
        'cut',
        'client-kill',
        'freeze',
        'restart-keep',
      ],
      orderWhileArriving: [],
      longest: 4_000,
    },
  },
  open: async () => {
    const server = await startPostgres();
    const dataSource = await openDataSource(server.url);
    await prepareDatabase(dataSource);
    await dataSource.query(
      'CREATE TABLE fault_ledger (id bigserial PRIMARY KEY, key text, place int, token bigint, call text)',
    );
    await dataSource.destroy();
    return new OpenPostgres(server);
  },
};

class OpenPostgres implements OpenSubject {
  readonly urls: readonly string[];

  constructor(private readonly server: PostgresServer) {
    this.urls = [server.url];
  }

  async inject(kind: StoreFault, duration: number): Promise<void> {
    const { server } = this;
    switch (kind) {
      case 'restart-keep':
        // Half of the restarts are crashes.
        if (duration % 2 === 0) await server.kill();
        return server.restart();
      case 'freeze':
        server.pause();
        await new Promise((resolve) => setTimeout(resolve, duration));
        return server.resume();
      case 'client-kill':
        await this.ask(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        );
        return;
      default:
        throw new Error(`PostgreSQL can't have the fault ${kind}.`);
    }
  }

  /** Transactions, sessions and locks end with their processes. The lock table keeps a row a key, for a week. */
  async residue(): Promise<readonly string[]> {
    const left = async (): Promise<readonly string[]> => {
      const sessions = await this.ask(
        "SELECT 'a session is left: ' || coalesce(state, '') || ' ' || query AS line FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
      );
      const locks = await this.ask(
        "SELECT 'an advisory lock is left: ' || objid AS line FROM pg_locks WHERE locktype = 'advisory'",
      );
      return [...sessions, ...locks].map(({ line }) => String(line));
    };
    await eventually('the sessions of the dead end', async () => (await left()).length === 0).catch(
      () => undefined,
    );
    return left();
  }

  /** What was written by two at once has the same place; what an old holder wrote late has too low a token. */
  async damage(): Promise<readonly string[]> {
    const rows = await this.ask(
      'SELECT key, place, token::float8 AS token, call FROM fault_ledger ORDER BY id',
    );
    const last = new Map<unknown, { place: unknown; token: unknown }>();
    return rows.flatMap(({ key, place, token, call }) => {
      const before = last.get(key);
      last.set(key, { place, token });
      if (before === undefined) return [];
      const isNext = place === Number(before.place) + 1 && Number(token) > Number(before.token);
      return isNext
        ? []
        : [
            `${String(call)} wrote place ${String(place)} of "${String(key)}" with ${String(token)} after place ${String(before.place)} with ${String(before.token)}`,
          ];
    });
  }

  close(): Promise<void> {
    return this.server.stop();
  }

  /** By a connection that was made for it: none of ours outlives a restart. */
  private async ask(statement: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = new Client({ connectionString: this.server.url });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  }
}
