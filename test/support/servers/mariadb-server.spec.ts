import { type MariadbServer, startMariadb } from './mariadb-server';
import { provideServer } from './provide-servers';
import { runTool } from '../../../src/database/run-tool';

const INSTALL_LIMIT = 300_000;

describe('a throwaway MariaDB', () => {
  let server: MariadbServer;

  beforeAll(async () => {
    await provideServer('mariadb', { say: (line) => console.log(line) });
    server = await startMariadb();
  }, INSTALL_LIMIT);

  afterAll(() => server?.stop());

  it('gives databases that see nothing of each other', async () => {
    const [one, other] = [await server.createDatabase(), await server.createDatabase()];
    await query(one, 'CREATE TABLE mine (id int)');
    expect(await query(one, 'SHOW TABLES')).toBe('mine');
    expect(await query(other, 'SHOW TABLES')).toBe('');
  });

  it('keeps what was committed when it is killed and started again on the same port', async () => {
    const { port, pid } = server;
    const url = await server.createDatabase('kept');
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await server.kill();
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await query(url, 'SELECT answer FROM kept')).toBe('42');
  });
});

async function query(address: string, statement: string): Promise<string> {
  const { hostname, port, username, password, pathname } = new URL(address);
  const output = await runTool({
    file: 'mariadb',
    args: [
      ...[
        '--no-defaults',
        '--skip-column-names',
        `--host=${hostname}`,
        `--port=${port}`,
        `--user=${username}`,
      ],
      ...['--protocol=tcp', `--database=${pathname.slice(1)}`, '--execute', statement],
    ],
    env: { MYSQL_PWD: password },
  });
  return output.trim();
}
