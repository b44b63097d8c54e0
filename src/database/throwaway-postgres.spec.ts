import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { eventually } from '../../test/support/eventually';
import { freePort } from './free-port';
import { startThrowawayPostgres } from './throwaway-postgres';

describe('a throwaway PostgreSQL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'throwaway-'));
  const { TMPDIR } = process.env;

  beforeAll(() => {
    chmodSync(folder, 0o755);
    process.env.TMPDIR = folder;
  });

  afterAll(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    rmSync(folder, { recursive: true });
  });

  it('answers until it is stopped, and leaves nothing behind', async () => {
    const server = await startThrowawayPostgres();
    expect(await versionOf(server.url)).toContain('PostgreSQL');
    await server.stop();
    await server.stop();
    await expect(versionOf(server.url)).rejects.toThrow('ECONNREFUSED');
    expect(isAlive(server.pid)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes another port when somebody was faster', async () => {
    const faster = createServer().listen(0, '127.0.0.1');
    await once(faster, 'listening');
    const ports = [(faster.address() as AddressInfo).port, await freePort()];
    const server = await startThrowawayPostgres(async () => ports.shift() ?? freePort());
    expect(ports).toEqual([]);
    expect(await versionOf(server.url)).toContain('PostgreSQL');
    await server.stop();
    faster.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('ends with its process by %s', async (signal) => {
    const script = `
      const { startThrowawayPostgres } = require(${JSON.stringify(join(__dirname, 'throwaway-postgres.ts'))});
      startThrowawayPostgres().then(({ pid }) => process.send(pid));`;
    const owner = spawn(process.execPath, ['--import', 'tsx', '--eval', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [pid] = (await once(owner, 'message')) as [number];
    expect(isAlive(pid)).toBe(true);
    owner.kill(signal);
    await eventually('the server ends', () => !isAlive(pid));
    await eventually('its data is removed', () =>
      readdirSync(folder).every((name) => name.startsWith('tsx')),
    );
  });
});

async function versionOf(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ version: string }>('SELECT version()');
  await client.end();
  return rows[0]?.version ?? '';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
