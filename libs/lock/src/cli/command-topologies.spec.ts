import { Cluster } from 'ioredis';
import { startRedisCluster } from '../../../../test/support/servers/redis-cluster';
import { startSentinels } from '../../../../test/support/servers/redis-sentinel';
import type { LockRequest, StrategyContext } from '../locking/lock-strategy.js';
import { redisLock } from '../strategies/redis/index.js';
import { runCommand } from './command.js';
import { ExitCode } from './exit-code.js';

const CONTEXT: StrategyContext = { strategy: 'redis', get: () => undefined as never };

describe('the command', () => {
  it('finds and frees locks on every node of a Cluster, from any of them', async () => {
    const cluster = await startRedisCluster();
    const client = new Cluster([...cluster.nodes], { lazyConnect: true });
    const strategy = redisLock({ client })(CONTEXT);
    // By their names these lie on different nodes.
    const names = ['stock:1', 'stock:2', 'stock:3', 'stock:4'];
    for (const name of names) await strategy.acquire(requestOf(name));
    const [first = ''] = cluster.servers.map(({ url }) => url);
    for (const name of names) {
      const args = [name, '--redis', first, '--cluster'];
      expect(await outcomeOf(['inspect', ...args])).toEqual([ExitCode.DONE, '']);
      expect(await outcomeOf(['release', ...args, '--yes'])).toEqual([ExitCode.DONE, '']);
      expect(await outcomeOf(['inspect', ...args])).toEqual([ExitCode.NOT_HELD, '']);
    }
    await strategy.close?.();

    expect(await outcomeOf(['inspect', 'stock:1', '--redis', first])).toEqual([
      ExitCode.UNREACHABLE,
      expect.stringContaining('Here that is --cluster.'),
    ]);
    await cluster.stop();
    expect(await outcomeOf(['inspect', 'stock:1', '--redis', first, '--cluster'])).toEqual([
      ExitCode.UNREACHABLE,
      expect.stringContaining("can't be used"),
    ]);
  }, 120_000);

  it('finds and frees locks of the master that Sentinels name', async () => {
    const trio = await startSentinels();
    const strategy = redisLock({ options: { sentinels: trio.addresses, name: trio.name } })(CONTEXT);
    await strategy.acquire(requestOf('stock:1'));
    const urls = trio.addresses.map(({ host, port }) => `redis://${host}:${port}`).join();
    const args = ['stock:1', '--redis', urls, '--sentinel', trio.name];
    expect(await outcomeOf(['inspect', ...args])).toEqual([ExitCode.DONE, '']);
    expect(await outcomeOf(['release', ...args, '--yes'])).toEqual([ExitCode.DONE, '']);
    expect(await outcomeOf(['inspect', ...args])).toEqual([ExitCode.NOT_HELD, '']);
    await strategy.close?.();
    await trio.stop();
  }, 120_000);
});

async function outcomeOf(args: readonly string[]): Promise<readonly [code: ExitCode, said: string]> {
  let said = '';
  const code = await runCommand(args, {
    environment: {},
    version: '',
    print: () => undefined,
    say: (text) => void (said += text),
  });
  return [code, said];
}

function requestOf(name: string): LockRequest {
  return { name, waitTime: 20_000, ttl: 60_000, holdAtLeast: 0 };
}
