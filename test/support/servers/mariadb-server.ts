import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInPath } from './provide-servers';
import { runTool } from '../../../src/database/run-tool';
import { howToGet } from './server-package';
import type { ServerCommand } from './server-process';
import { ThrowawayServer } from './throwaway-server';
import { type SystemUser, throwawayFolder, unprivilegedUser } from '../../../src/database/unprivileged-user';

export interface MariadbServerOptions {
  /** Further arguments, for example `['--max-connections=20']`. */
  readonly args?: readonly string[];
}

/** A MariaDB of our own on a free loopback port, with nothing in it. */
export async function startMariadb(options: MariadbServerOptions = {}): Promise<MariadbServer> {
  const server = new MariadbServer(unprivilegedUser('mysql'), options.args ?? []);
  await server.start().catch((error: unknown) => {
    throw howToGet('mariadb', error);
  });
  return server;
}

export class MariadbServer extends ThrowawayServer {
  readonly user = 'lock';
  readonly password = randomBytes(12).toString('hex');
  readonly database = 'lock';
  private readonly data: string;

  constructor(
    private readonly systemUser: SystemUser | undefined,
    private readonly args: readonly string[],
  ) {
    super(throwawayFolder('mariadb', systemUser));
    this.data = join(this.folder, 'data');
  }

  get url(): string {
    return this.urlOf(this.database);
  }

  /** Makes an empty database and returns its address. */
  async createDatabase(name = `db_${randomBytes(6).toString('hex')}`): Promise<string> {
    await runTool({
      file: isInPath('mariadb') ? 'mariadb' : 'mysql',
      args: [
        ...[
          '--no-defaults',
          '--protocol=tcp',
          `--host=${this.host}`,
          `--port=${this.port}`,
          `--user=${this.user}`,
        ],
        ...['--execute', `CREATE DATABASE \`${name}\``],
      ],
      env: { MYSQL_PWD: this.password },
    });
    return this.urlOf(name);
  }

  /** Ends the server, orderly unless it was killed before, and starts it again on the same port with its data. */
  async restart(): Promise<void> {
    await this.shutDown();
    await this.launch();
  }

  protected override async prepare(): Promise<void> {
    await runTool({
      file: 'mariadb-install-db',
      args: [
        '--no-defaults',
        `--datadir=${this.data}`,
        this.ownTemporaryFolder,
        '--auth-root-authentication-method=normal',
        '--skip-test-db',
      ],
      cwd: this.folder,
      user: this.systemUser,
    });
    writeFileSync(
      join(this.folder, 'users.sql'),
      `CREATE USER IF NOT EXISTS '${this.user}'@'%' IDENTIFIED BY '${this.password}';
GRANT ALL PRIVILEGES ON *.* TO '${this.user}'@'%' WITH GRANT OPTION;
CREATE DATABASE IF NOT EXISTS \`${this.database}\`;
`,
    );
  }

  protected command(port: number): ServerCommand {
    return {
      file: isInPath('mariadbd') ? 'mariadbd' : 'mysqld',
      args: [
        ...[
          '--no-defaults',
          `--datadir=${this.data}`,
          this.ownTemporaryFolder,
          `--socket=${join(this.folder, 'socket')}`,
        ],
        ...[`--pid-file=${join(this.folder, 'pid')}`, `--port=${port}`, `--bind-address=${this.host}`],
        ...['--skip-name-resolve', `--init-file=${join(this.folder, 'users.sql')}`],
        // It may lose what it wrote when the machine stops, and is the faster for it.
        ...[
          '--innodb-flush-log-at-trx-commit=0',
          '--innodb-flush-method=nosync',
          '--innodb-buffer-pool-size=32M',
        ],
        ...this.args,
      ],
      cwd: this.folder,
      user: this.systemUser,
      ready: /ready for connections/,
    };
  }

  /** Servers that are installed at the same moment give their temporary tables the same names. */
  private get ownTemporaryFolder(): string {
    return `--tmpdir=${this.folder}`;
  }

  private urlOf(database: string): string {
    return `mariadb://${this.user}:${this.password}@${this.host}:${this.port}/${database}`;
  }
}
