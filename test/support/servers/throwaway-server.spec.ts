import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../eventually';
import { childrenOf, isAlive } from './process-tree';
import { RedisServer, startRedis } from './redis-server';
import { stopServersOf } from './throwaway-server';

describe('throwaway servers', () => {
  it.each([
    ['SIGKILL', []],
    ['SIGINT', []],
    ['SIGKILL', ['paused']],
  ] as const)('end after their owner got %s, with their data (%j)', async (signal, args) => {
    const folder = mkdtempSync(join(tmpdir(), 'orphans-'));
    chmodSync(folder, 0o755);
    const owner = fork(join(__dirname, 'orphaning-process.ts'), [...args], {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, TMPDIR: folder },
    });
    const [servers] = (await once(owner, 'message')) as [number[]];
    const pids = [...servers, ...servers.flatMap(childrenOf)];
    expect(pids.length).toBeGreaterThan(servers.length);
    expect(serverFoldersIn(folder)).toHaveLength(servers.length);

    owner.kill(signal);
    await eventually('all processes end', () => !pids.some(isAlive));
    await eventually('their data is removed', () => serverFoldersIn(folder).length === 0);
    rmSync(folder, { recursive: true });
  });

  it('are stopped by the test environment when a test file leaves them behind', async () => {
    const server = await startRedis();
    const { pid } = server;
    await stopServersOf(globalThis);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(server.folder)).toBe(false);
  });

  it('leave no folder when they can not start', async () => {
    const server = new RedisServer(['--no-such-option', '1']);
    expect(existsSync(server.folder)).toBe(true);
    await expect(server.start()).rejects.toThrow('no-such-option');
    expect(existsSync(server.folder)).toBe(false);
  });

  it('take another port when theirs is taken at the last moment', async () => {
    const rival = createServer().listen(0, '127.0.0.1');
    await once(rival, 'listening');
    const address = rival.address();
    const taken = typeof address === 'object' && address !== null ? address.port : 0;
    const server = new RacingRedis(taken);
    await server.start();
    expect(server.attempted[0]).toBe(taken);
    expect(server.port).not.toBe(taken);
    await server.stop();
    rival.close();
  });
});

/** Its first port is one that somebody else has by now. */
class RacingRedis extends RedisServer {
  readonly attempted: number[] = [];

  constructor(private readonly taken: number) {
    super([]);
  }

  protected override command(port: number): ReturnType<RedisServer['command']> {
    const attempt = this.attempted.length === 0 ? this.taken : port;
    this.attempted.push(attempt);
    return super.command(attempt);
  }
}

/** tsx keeps its cache in the same place. */
function serverFoldersIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('nestjs-distributed-lock-'));
}
