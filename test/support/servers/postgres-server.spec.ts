import { Client } from 'pg';
import { type PostgresServer, startPostgres } from './postgres-server';

describe('a throwaway PostgreSQL', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres();
  });

  afterAll(() => server.stop());

  it('gives databases that see nothing of each other', async () => {
    const [one, other] = [await server.createDatabase(), await server.createDatabase()];
    await query(one, 'CREATE TABLE mine (id int)');
    expect(await query(one, `SELECT to_regclass('mine')::text AS name`)).toEqual([{ name: 'mine' }]);
    expect(await query(other, `SELECT to_regclass('mine')::text AS name`)).toEqual([{ name: null }]);
  });

  it('keeps what was committed when it is killed and started again on the same port', async () => {
    const { port, pid } = server;
    const url = await server.createDatabase('kept');
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await server.kill();
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('stops the backends of open connections too while it is paused', async () => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    server.pause();
    let answered = false;
    const answer = client.query('SELECT 1').finally(() => (answered = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    server.resume();
    await answer;
    await client.end();
  });

  it('ends although a client is still connected', async () => {
    const own = await startPostgres({ settings: { max_connections: '20' } });
    const client = new Client({ connectionString: own.url });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client
      .query<{ setting: string }>('SHOW max_connections AS setting')
      .catch(() => client.query<{ setting: string }>(`SELECT current_setting('max_connections') AS setting`));
    expect(rows).toEqual([{ setting: '20' }]);
    const { pid } = own;
    await own.stop();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await client.end().catch(() => undefined);
  });
});

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query(statement);
  await client.end();
  return rows as unknown[];
}
