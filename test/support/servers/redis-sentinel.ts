import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from '../eventually';
import { startRedis, type RedisServer } from './redis-server';
import type { ServerCommand } from './server-process';
import { ThrowawayServer } from './throwaway-server';
import { throwawayFolder } from '../../../src/database/unprivileged-user';

const QUORUM = 2;

/** A master, a replica, and three Sentinels that watch them. */
export async function startSentinels(name = 'locks'): Promise<SentinelTrio> {
  const master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] });
  const replica = await startRedis({
    args: ['--replicaof', master.host, String(master.port), '--repl-diskless-sync-delay', '0'],
  });
  const sentinels = [0, 1, 2].map(() => new Sentinel(name, master));
  for (const sentinel of sentinels) await sentinel.start();
  const trio = new SentinelTrio(name, [master, replica], sentinels);
  await trio.untilReady();
  return trio;
}

export class SentinelTrio {
  constructor(
    readonly name: string,
    readonly servers: readonly RedisServer[],
    private readonly sentinels: readonly Sentinel[],
  ) {}

  /** As the options of ioredis want it. */
  get addresses(): { host: string; port: number }[] {
    return this.sentinels.map(({ host, port }) => ({ host, port }));
  }

  async master(): Promise<RedisServer> {
    const port = await this.ask((sentinel) =>
      sentinel
        .call('SENTINEL', 'get-master-addr-by-name', this.name)
        .then((address) => Number((address as string[])[1])),
    );
    const server = this.servers.find((each) => each.port === port);
    if (server === undefined) throw new Error(`No server of ours listens on port ${port}.`);
    return server;
  }

  /** Tells the Sentinels to make the replica the master, and waits until it is. */
  async failOver(): Promise<void> {
    const before = await this.master();
    await eventually('the Sentinels take the order', () =>
      this.ask((sentinel) => sentinel.call('SENTINEL', 'FAILOVER', this.name)).then(
        () => true,
        () => false,
      ),
    );
    await eventually('the replica is the master', async () => (await this.master()) !== before, 60_000);
  }

  async untilReady(): Promise<void> {
    await eventually('the Sentinels know each other and the replica', async () => {
      const fields = await this.ask(
        (sentinel) => sentinel.call('SENTINEL', 'MASTER', this.name) as Promise<string[]>,
      );
      const value = (field: string): string | undefined => fields[fields.indexOf(field) + 1];
      return (
        value('num-other-sentinels') === '2' && value('num-slaves') === '1' && value('flags') === 'master'
      );
    });
    const replica = new Redis(this.servers[1]?.url ?? '');
    await eventually('the replica is in sync', async () =>
      (await replica.info('replication')).includes('master_link_status:up'),
    );
    replica.disconnect();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.stop()));
  }

  private async ask<T>(question: (sentinel: Redis) => Promise<T>): Promise<T> {
    const [address] = this.addresses;
    const client = new Redis({ ...address, lazyConnect: true });
    client.on('error', () => undefined);
    try {
      return await question(client);
    } finally {
      client.disconnect();
    }
  }
}

class Sentinel extends ThrowawayServer {
  constructor(
    private readonly name: string,
    private readonly master: RedisServer,
  ) {
    super(throwawayFolder('sentinel'));
  }

  protected command(port: number): ServerCommand {
    const file = join(this.folder, 'sentinel.conf');
    const { host } = this.master;
    writeFileSync(
      file,
      [
        `port ${port}`,
        `bind ${this.host}`,
        `dir ${this.folder}`,
        `sentinel monitor ${this.name} ${host} ${this.master.port} ${QUORUM}`,
        `sentinel down-after-milliseconds ${this.name} 1500`,
        `sentinel failover-timeout ${this.name} 5000`,
        '',
      ].join('\n'),
    );
    return {
      file: 'redis-server',
      args: [file, '--sentinel', '--daemonize', 'no'],
      cwd: this.folder,
      ready: /\+monitor master/,
    };
  }
}
