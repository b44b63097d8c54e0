import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRedis, type RedisServer } from '../../../../test/support/servers/redis-server';
import type { LockStrategy } from '../locking/lock-strategy.js';
import { redisLock } from '../strategies/redis/index.js';
import { ExitCode } from './exit-code.js';

const MAIN = join(__dirname, 'main.ts');

interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the program', () => {
  let server: RedisServer;
  let holder: LockStrategy;

  beforeAll(async () => {
    server = await startRedis();
    holder = redisLock({ url: server.url })({ strategy: 'redis', get: () => undefined as never });
  });
  afterAll(async () => {
    await holder.close?.();
    await server.stop();
  });

  it('ends by itself, with what it found on stdout and in its exit code', async () => {
    const { token } = await holder.acquire({ name: 'job', waitTime: 0, ttl: 60_000, holdAtLeast: 0 });
    const [held, unanswered, away, version] = await Promise.all([
      endingOf(['inspect', 'job', '--json', '--redis', server.url]),
      endingOf(['release', 'job', '--redis', server.url]),
      endingOf(['inspect', 'job', '--json', '--redis', 'redis://127.0.0.1:1']),
      endingOf(['--version']),
    ]);
    expect(JSON.parse(held.stdout)).toMatchObject({ name: 'job', held: true, token });
    expect([held.code, held.stderr]).toEqual([ExitCode.DONE, '']);
    expect(unanswered.stderr).toContain('Nobody is there to be asked');
    expect(unanswered.code).toBe(ExitCode.LEFT_ALONE);
    // The log lines of the strategy would stand among the JSON.
    expect([away.code, away.stdout]).toEqual([ExitCode.UNREACHABLE, '']);
    expect(version.stdout).toBe(`${publishedVersion()}\n`);
  });

  // `script` gives it a terminal.
  it.each<[string, string, ExitCode]>([
    ['takes "y" for a yes', 'y\\n', ExitCode.DONE],
    ['takes a bare return for a no', '\\n', ExitCode.LEFT_ALONE],
    ['takes the end of the input for a no', '\\004', ExitCode.LEFT_ALONE],
  ])('%s', async (_what, typed, code) => {
    const name = `answer:${typed}`;
    await holder.acquire({ name, waitTime: 0, ttl: 60_000, holdAtLeast: 0 });
    const command = [process.execPath, ...nodeArguments(['release', name, '--redis', server.url])];
    const line = command.map((word) => `'${word}'`).join(' ');
    const ending = await endingOfProgram(
      'script',
      ['--quiet', '--return', '--command', line, '/dev/null'],
      typed,
    );
    expect(ending.stdout).toContain('who may still be at work? [y/N]');
    expect(ending.code).toBe(code);
    expect((await holder.inspect?.(name))?.held).toBe(code !== ExitCode.DONE);
  });
});

function endingOf(args: readonly string[]): Promise<Ending> {
  return endingOfProgram(process.execPath, nodeArguments(args));
}

function nodeArguments(args: readonly string[]): readonly string[] {
  return ['--import', 'tsx', MAIN, ...args];
}

/** @param typed - what is typed when it asks, in the escapes of JSON */
function endingOfProgram(file: string, args: readonly string[], typed?: string): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (typed !== undefined && stdout.includes('[y/N]') && !child.stdin.writableEnded) {
        child.stdin.end(typed.replaceAll('\\n', '\n').replaceAll('\\004', '\u0004'));
      }
    });
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    if (typed === undefined) child.stdin.end();
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

function publishedVersion(): string {
  const manifest = readFileSync(join(__dirname, '../../package.json'), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
