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

/**
 * Starts a PostgreSQL server on a free port of the loopback, from the programs that come with npm.
 *
 * @param choosePort Asked again when somebody takes the port before PostgreSQL listens on it.
 */
export async function startThrowawayPostgres(choosePort = freePort): Promise<ThrowawayPostgres> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await choosePort());
    } catch (error) {
      if (attempt === 5 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

async function start(port: number): Promise<ThrowawayPostgres> {
  const user = unprivilegedUser('postgres');
  const { initdb, postgres } = await postgresBinaries(user);
  const folder = throwawayFolder('postgres', user);
  try {
    const data = join(folder, 'data');
    const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
    await runTool({ file: initdb, args: [`--pgdata=${data}`, ...options], cwd: folder, user });
    return await keep([postgres, '-D', data, '-p', String(port), ...SETTINGS], port, folder, user);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

const SETTINGS = [
  ...['-c', 'listen_addresses=127.0.0.1'],
  ...['-c', 'unix_socket_directories='],
  // Nothing here has to survive a power cut.
  ...['-c', 'fsync=off'],
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

async function keep(
  command: readonly string[],
  port: number,
  folder: string,
  user: SystemUser | undefined,
): Promise<ThrowawayPostgres> {
  const keeper = spawn('sh', ['-c', KEEPER, 'sh', folder, ...command], {
    ...user,
    cwd: folder,
    // In a process group of its own: Ctrl-C in the terminal must not take it away before the application has closed.
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
  await stop();
  throw new Error(`PostgreSQL did not start: ${said.trim()}`);
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
