import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { chownSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, runToEnd, shippedPostgres, unprivilegedAccount } from './shipped-postgres.js';

/** A PostgreSQL server of our own: its data is gone when it stops. */
export interface ThrowawayPostgres {
  /** Its address, with the superuser and the database `postgres`: who may reach the loopback may use it. */
  readonly url: string;
  readonly pid: number;
  /** Stops the server at once and removes its data. Harmless twice, and done too when this process dies. */
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL server on a free port of the loopback, from the programs that come with npm.
 *
 * @param settings Server settings, for example `{ max_connections: '300' }`.
 */
export async function startThrowawayPostgres(
  settings: Readonly<Record<string, string>> = {},
): Promise<ThrowawayPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'throwaway-postgres-'));
  try {
    const account = unprivilegedAccount();
    if (account) chownSync(folder, account.uid, account.gid);
    const programs = await shippedPostgres(folder, account);
    const data = join(folder, 'data');
    const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
    await runToEnd(join(programs, 'initdb'), [`--pgdata=${data}`, ...options], account);
    return await startOnFreePort(folder, join(programs, 'postgres'), data, settings, account);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Keeps PostgreSQL alive for as long as its standard input is open. The system closes it when the process that holds
 * the other end dies, by SIGKILL too, so no server is left behind. Its own standard error is closed, so that what
 * is read there ends with the server.
 */
const KEEPER = `
  folder=$1; shift
  "$@" &
  echo $!
  exec 2>&-
  read -r _
  kill -QUIT $! && wait $!
  rm -rf "$folder"
`;

async function startOnFreePort(
  folder: string,
  binary: string,
  data: string,
  settings: Readonly<Record<string, string>>,
  account: Account | undefined,
): Promise<ThrowawayPostgres> {
  // Somebody may take the port between our asking for it and PostgreSQL's listening on it.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const args = ['-D', data, '-p', String(port), ...serverSettings(settings)];
    // In a process group of its own: Ctrl-C in the terminal must not take it away before the application has closed.
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', folder, binary, ...args], {
      ...account,
      cwd: tmpdir(),
      detached: true,
    });
    const ended = new Promise<void>((resolve) => keeper.once('close', () => resolve()));
    const stop = async (): Promise<void> => {
      keeper.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    };
    const { pid, said } = await untilReady(keeper);
    if (pid !== undefined) return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, pid, stop };
    keeper.stdin.end();
    await ended;
    const again = attempt < 5 && /address already in use/i.test(said);
    if (!again) throw new Error(`PostgreSQL did not start: ${said.trim()}`);
  }
}

function serverSettings(settings: Readonly<Record<string, string>>): string[] {
  const all: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    // Nothing here has to survive a power cut.
    fsync: 'off',
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Resolves to the server's process id, or to none when it ended instead. */
function untilReady(
  keeper: ChildProcessWithoutNullStreams,
): Promise<{ readonly pid?: number; readonly said: string }> {
  return new Promise((resolve) => {
    let said = '';
    let pid = NaN;
    keeper.stdout.on('data', (chunk: Buffer) => (pid = Number(chunk.toString())));
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      if (!said.includes('database system is ready to accept connections')) return;
      keeper.stderr.off('data', listen).resume();
      resolve({ pid, said });
    };
    keeper.stderr.on('data', listen);
    keeper.stderr.once('end', () => resolve({ said }));
    keeper.once('error', (error) => resolve({ said: error.message }));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no free port')),
      );
    });
  });
}
