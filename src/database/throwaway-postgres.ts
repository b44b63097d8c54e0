import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { postgresBinaries } from './postgres-binaries.js';
import { runTool } from './run-tool.js';
import { type SystemUser, throwawayFolder, unprivilegedUser } from './unprivileged-user.js';

/** A PostgreSQL server of our own: its data is gone when it stops. */
export interface ThrowawayPostgres {
  /** Its address, with the superuser and the database `postgres`: who may reach the loopback may use it. */
  readonly url: string;
  readonly pid: number;
  /** Stops the server at once and removes its data. Harmless twice, and done too when this process dies. */
  stop(): Promise<void>;
}

/** Starts a PostgreSQL server on a free port of the loopback, from the programs that come with npm. */
export async function startThrowawayPostgres(): Promise<ThrowawayPostgres> {
  const user = unprivilegedUser('postgres');
  const { initdb, postgres } = await postgresBinaries(user);
  const folder = throwawayFolder('postgres', user);
  try {
    const data = join(folder, 'data');
    const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
    await runTool({ file: initdb, args: [`--pgdata=${data}`, ...options], cwd: folder, user });
    return await startOnFreePort(folder, postgres, data, user);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  // Nothing here has to survive a power cut.
  'fsync=off',
];

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
  postgres: string,
  data: string,
  user: SystemUser | undefined,
): Promise<ThrowawayPostgres> {
  // Somebody may take the port between our asking for it and PostgreSQL's listening on it.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const args = ['-D', data, '-p', String(port), ...SETTINGS.flatMap((setting) => ['-c', setting])];
    // In a process group of its own: Ctrl-C in the terminal must not take it away before the application has closed.
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', folder, postgres, ...args], {
      ...user,
      cwd: folder,
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
