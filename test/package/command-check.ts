import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SceneEnvironment } from './consumer-project.js';
import { endingOf, run } from './program.js';

/** Holds a lock while the command looks at it and takes it away: where the project's own ioredis is. */
const SCENE = `
const { execFile } = require('node:child_process');
const { redisLock } = require('nestjs-distributed-lock/redis');
const { REDIS_URL: url, LOCK_PREFIX: prefix } = process.env;
const request = { name: 'job 1', waitTime: 0, ttl: 60000, holdAtLeast: 0 };
const command = (...args) =>
  new Promise((resolve) => {
    const all = ['--no-install', 'nestjs-distributed-lock', ...args, '--prefix', prefix, '--json'];
    execFile('npx', all, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
async function play() {
  const strategy = redisLock({ url, prefix })({ strategy: 'default', get: () => undefined });
  const lease = await strategy.acquire(request);
  const seen = await command('inspect', 'job 1');
  const released = await command('release', 'job 1', '--yes');
  const after = await command('inspect', 'job 1');
  await strategy.close();
  return { token: lease.token, seen, released, after };
}
play().then((outcome) => console.log(JSON.stringify(outcome)));
`;

interface Outcome {
  readonly token: number;
  readonly seen: Ending;
  readonly released: Ending;
  readonly after: Ending;
}

interface Ending {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command as npx finds it in a project with ioredis. */
export async function commandWorks(folder: string, environment: SceneEnvironment): Promise<string> {
  const file = join(folder, 'command.cjs');
  writeFileSync(file, SCENE);
  const output = await run({
    file: process.execPath,
    args: [file],
    cwd: folder,
    env: environment,
    limit: 90_000,
  });
  const { token, seen, released, after } = JSON.parse(output) as Outcome;
  const { held, token: seenToken } = JSON.parse(seen.stdout || '{}') as { held?: boolean; token?: number };
  const codes = [seen, released, after].map(({ code }) => code).join(' ');
  if (codes === '0 0 1' && held === true && seenToken === token) return 'inspects and releases';
  throw new Error(`The command ended with ${codes} instead of 0 0 1:\n${output}`);
}

/** Runs the command in a project that has no ioredis: it has to say so. */
export async function commandExplains(folder: string): Promise<string> {
  const args = ['--no-install', 'nestjs-distributed-lock', 'inspect', 'job', '--redis', 'redis://localhost'];
  const { code, output } = await endingOf({ file: 'npx', args, cwd: folder, limit: 60_000 });
  if (code === 2 && output.includes('npm install ioredis')) return 'asks for ioredis';
  throw new Error(`The command ended with ${code} and did not name what is missing:\n${output}`);
}
