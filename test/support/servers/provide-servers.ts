import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { runTool } from '../../../src/database/run-tool';
import { instructions, SERVER_PACKAGES, type ServerKind } from './server-package';

export interface ProvideOptions {
  /** Where to say what is done to this machine: one line each. */
  readonly say: (line: string) => void;
}

/**
 * Makes sure that a server's binary is there: where it is missing, installs Debian's package, when we are root.
 *
 * @throws {Error} it is missing and can't be installed; the message says how to get it.
 */
export async function provideServer(kind: ServerKind, { say }: ProvideOptions): Promise<void> {
  const { name, debianPackage, binaries } = SERVER_PACKAGES[kind];
  if (binaries.some(isInPath)) return;
  if (process.getuid?.() !== 0 || !isInPath('apt-get')) throw new Error(instructions(kind));
  say(`${name} is missing: installing Debian's package ${debianPackage} (it starts no service).`);
  try {
    await installWithoutStarting(debianPackage);
  } catch (error) {
    throw new Error(`${instructions(kind)} Installing it here failed: ${String(error)}`, { cause: error });
  }
  if (!binaries.some(isInPath)) throw new Error(instructions(kind));
}

export function isInPath(binary: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, binary), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/** The programs by which a package's scripts start its service, now or when the machine starts. */
const SERVICE_PROGRAMS = [
  'invoke-rc.d',
  'deb-systemd-invoke',
  'deb-systemd-helper',
  'update-rc.d',
  'service',
  'systemctl',
];

/**
 * Debian's own way to keep a service from starting is a file, /usr/sbin/policy-rc.d, which stays behind when we are
 * killed. Instead the package's scripts find programs that do nothing first in the PATH, which apt lets us choose;
 * nothing on the machine but the package is changed.
 */
async function installWithoutStarting(debianPackage: string): Promise<void> {
  const shadow = mkdtempSync(join(tmpdir(), 'nestjs-distributed-lock-apt-'));
  chmodSync(shadow, 0o755);
  try {
    for (const program of SERVICE_PROGRAMS) {
      writeFileSync(join(shadow, program), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    }
    const install = () => aptGet(['install', '-y', '--no-install-recommends', debianPackage], shadow);
    await install().catch(async () => {
      // No list of packages yet, or one so old that its addresses are gone.
      await aptGet(['update'], shadow);
      await install();
    });
  } finally {
    rmSync(shadow, { recursive: true, force: true });
  }
}

async function aptGet(args: readonly string[], shadow: string): Promise<void> {
  await runTool({
    file: 'apt-get',
    args: [
      ...['-q', '-o', `DPkg::Path=${shadow}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`],
      // Somebody else may be installing: another run of the tests, or the machine itself.
      ...['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3'],
      ...args,
    ],
    cwd: '/',
    env: { DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' },
  });
}
