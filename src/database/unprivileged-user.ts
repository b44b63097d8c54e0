import { chownSync, mkdtempSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom a database runs as: databases refuse root. Undefined where we are not root ourselves.
 *
 * It must be a user that the system knows, for `initdb` looks up its name; `nobody` is everywhere.
 */
export function unprivilegedUser(preferred: string): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const user = systemUser(preferred) ?? systemUser('nobody');
  if (user === undefined) throw new Error('A database can not run as root, and there is no user "nobody".');
  return user;
}

/** A new folder that the user owns, in a place that it can reach. */
export function throwawayFolder(subject: string, user?: SystemUser): string {
  const parent = user === undefined || isReachable(tmpdir()) ? tmpdir() : '/tmp';
  const folder = mkdtempSync(join(parent, `nestjs-distributed-lock-${subject}-`));
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  return folder;
}

/** Whether everybody may enter this folder: `/root/project/node_modules` is not for a database's user. */
export function isReachable(folder: string): boolean {
  if ((statSync(folder).mode & 0o005) !== 0o005) return false;
  for (let parent = dirname(folder); parent !== dirname(parent); parent = dirname(parent)) {
    if ((statSync(parent).mode & 0o001) === 0) return false;
  }
  return true;
}

function systemUser(name: string): SystemUser | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [login, , uid, gid] = line.split(':');
    if (login === name) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
