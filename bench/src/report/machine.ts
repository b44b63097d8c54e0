import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REDIS_ENTRIES } from '../contestants/index';

/** On what, with what and under which load it was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly system: string;
  readonly node: string;
  /** Processes that wanted to run in the minute before the run began: without other work, near 0. */
  readonly loadBefore: number;
  readonly servers: Readonly<Record<string, string>>;
  readonly packages: Readonly<Record<string, string>>;
}

const OTHER_PACKAGES = ['async-mutex', 'typeorm', 'pg', 'mysql2'];

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release().split('-')[0]}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? NaN,
    servers: {
      redis: versionOf('redis-server', /v=(\S+)/),
      mariadb: versionOf('mariadbd', /Ver (\S+)/),
    },
    packages: Object.fromEntries(
      [...REDIS_ENTRIES.flatMap((entry) => entry.package ?? []), ...OTHER_PACKAGES].map((name) => [
        name,
        packageVersion(name),
      ]),
    ),
  };
}

function versionOf(program: string, pattern: RegExp): string {
  try {
    return pattern.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
  } catch {
    return 'not there';
  }
}

function packageVersion(name: string): string {
  const file = join(__dirname, '../../../../node_modules', name, 'package.json');
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
  } catch {
    return 'not there';
  }
}
