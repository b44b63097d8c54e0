import { writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client } from 'pg';
import { type PostgresBinaries, postgresBinaries } from '../../../src/database/postgres-binaries';
import { runTool } from '../../../src/database/run-tool';
import type { ServerCommand } from './server-process';
import { ThrowawayServer } from './throwaway-server';
import { type SystemUser, throwawayFolder, unprivilegedUser } from '../../../src/database/unprivileged-user';

export interface PostgresServerOptions {
  /** Further settings, for example `{ max_connections: '20' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A PostgreSQL of our own on a free loopback port, with nothing in it. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const user = unprivilegedUser('postgres');
  const server = new PostgresServer(await postgresBinaries(user), user, options.settings ?? {});
  await server.start();
  return server;
}

/** It may lose what it wrote when the machine stops, and is the faster for it. A crash of its processes loses nothing. */
const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '32MB',
  max_connections: '100',
  timezone: 'UTC',
};

export class PostgresServer extends ThrowawayServer {
  readonly user = 'postgres';
  readonly password = randomBytes(12).toString('hex');
  readonly database = 'postgres';
  private readonly data: string;

  constructor(
    private readonly binaries: PostgresBinaries,
    private readonly systemUser: SystemUser | undefined,
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    super(throwawayFolder('postgres', systemUser));
    this.data = join(this.folder, 'data');
  }

  get url(): string {
    return this.urlOf(this.database);
  }

  /** Makes an empty database and returns its address. */
  createDatabase(name = `db_${randomBytes(6).toString('hex')}`): Promise<string> {
    return createPostgresDatabase(this.url, name);
  }

  /** Ends the server, orderly unless it was killed before, and starts it again on the same port with its data. */
  async restart(): Promise<void> {
    await this.shutDown();
    await this.launch();
  }

  protected override async prepare(): Promise<void> {
    const passwordFile = join(this.folder, 'password');
    writeFileSync(passwordFile, this.password, { mode: 0o644 });
    await runTool({
      file: this.binaries.initdb,
      args: [
        ...[
          '--pgdata',
          this.data,
          '--username',
          this.user,
          '--pwfile',
          passwordFile,
          '--auth',
          'scram-sha-256',
        ],
        ...['--encoding', 'UTF8', '--no-locale', '--no-sync'],
      ],
      cwd: this.folder,
      env: { LC_ALL: 'C' },
      user: this.systemUser,
    });
  }

  protected command(port: number): ServerCommand {
    const settings = Object.entries({ ...SETTINGS, ...this.settings, port: String(port) });
    return {
      file: this.binaries.postgres,
      args: ['-D', this.data, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      cwd: this.folder,
      env: { LC_ALL: 'C' },
      user: this.systemUser,
      ready: /database system is ready to accept connections/,
      // SIGTERM waits until the clients have left. A test's clients may be stopped, or forgotten.
      stopSignal: 'SIGINT',
    };
  }

  private urlOf(database: string): string {
    return `postgres://${this.user}:${this.password}@${this.host}:${this.port}/${database}`;
  }
}

/** Makes an empty database on the server at this address and returns the new one's address. */
export async function createPostgresDatabase(url: string, name: string): Promise<string> {
  await administer(url, (client) => `CREATE DATABASE ${client.escapeIdentifier(name)}`);
  const address = new URL(url);
  address.pathname = `/${name}`;
  return address.href;
}

/** Drops a database, with the connections to it that are left. */
export function dropPostgresDatabase(url: string, name: string): Promise<void> {
  return administer(url, (client) => `DROP DATABASE ${client.escapeIdentifier(name)} WITH (FORCE)`);
}

async function administer(url: string, statement: (client: Client) => string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement(client));
  } finally {
    await client.end();
  }
}
