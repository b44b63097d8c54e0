import { Redis } from 'ioredis';
import { freePort } from '../../../src/database/free-port';
import { eventually } from '../eventually';
import { startRedis, type RedisServer } from './redis-server';

const SLOTS = 16_384;

/** A Cluster of masters without replicas, each a throwaway server, with the slots in equal shares. */
export async function startRedisCluster(masters = 3): Promise<RedisCluster> {
  const servers = await Promise.all(Array.from({ length: masters }, () => startNode()));
  const cluster = new RedisCluster(servers);
  await cluster.join();
  return cluster;
}

async function startNode(): Promise<RedisServer> {
  const busPort = await freePort();
  const args = ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf'];
  return startRedis({ args: [...args, '--cluster-port', String(busPort), '--cluster-node-timeout', '3000'] });
}

export class RedisCluster {
  private readonly replicas: RedisServer[] = [];

  constructor(readonly servers: readonly RedisServer[]) {}

  get nodes(): readonly { readonly host: string; readonly port: number }[] {
    return this.servers.map(({ host, port }) => ({ host, port }));
  }

  async join(): Promise<void> {
    const clients = this.servers.map((server) => new Redis(server.url));
    try {
      const share = Math.ceil(SLOTS / clients.length);
      for (const [index, client] of clients.entries()) {
        const last = Math.min((index + 1) * share, SLOTS) - 1;
        await client.call('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last));
        await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      }
      const [first] = clients;
      for (const { host, port, busPort } of await this.addresses(clients)) {
        await first?.call('CLUSTER', 'MEET', host, String(port), String(busPort));
      }
    } finally {
      for (const client of clients) client.disconnect();
    }
    await this.isWhole();
  }

  /** Resolves when every master knows all servers, and each slot is served. */
  async isWhole(): Promise<void> {
    const known = `cluster_known_nodes:${this.servers.length + this.replicas.length}`;
    for (const { url } of this.servers) {
      const client = new Redis(url);
      try {
        await eventually('the cluster is ready', async () => {
          const info = String(await client.call('CLUSTER', 'INFO'));
          return info.includes('cluster_state:ok') && info.includes(known);
        });
      } finally {
        client.disconnect();
      }
    }
  }

  /** Adds a server that follows the one that serves a slot, and waits until it has its data. */
  async addReplica(slot: number): Promise<RedisServer> {
    const master = await this.serverOf(slot);
    const replica = await startNode();
    this.replicas.push(replica);
    const [leader, follower] = [new Redis(master.url), new Redis(replica.url)];
    try {
      const id = String(await leader.call('CLUSTER', 'MYID'));
      const busPort = /@(\d+)/.exec(String(await leader.call('CLUSTER', 'NODES')))?.[1] ?? '';
      await follower.call('CLUSTER', 'MEET', master.host, String(master.port), busPort);
      await eventually('it can follow', () =>
        follower.call('CLUSTER', 'REPLICATE', id).then(
          () => true,
          () => false,
        ),
      );
      await eventually('it has the data', async () =>
        (await follower.info('replication')).includes('master_link_status:up'),
      );
      await this.isWhole();
    } finally {
      leader.disconnect();
      follower.disconnect();
    }
    return replica;
  }

  /** The server that serves a slot, as the first server knows it. */
  async serverOf(slot: number): Promise<RedisServer> {
    for (const server of this.servers) {
      if ((await this.slotsOf(server)).includes(slot)) return server;
    }
    throw new Error(`Nobody serves slot ${slot}.`);
  }

  /** Moves a slot with its keys, as `redis-cli --cluster reshard` does. `between` runs while it is on its way. */
  async moveSlot(
    slot: number,
    target: RedisServer,
    between: () => Promise<void> = async () => {},
  ): Promise<void> {
    const source = await this.serverOf(slot);
    const [from, to] = [new Redis(source.url), new Redis(target.url)];
    try {
      const [fromId, toId] = [
        String(await from.call('CLUSTER', 'MYID')),
        String(await to.call('CLUSTER', 'MYID')),
      ];
      await to.call('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', fromId);
      await from.call('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', toId);
      await between();
      for (;;) {
        const keys = (await from.call('CLUSTER', 'GETKEYSINSLOT', String(slot), '100')) as string[];
        if (keys.length === 0) break;
        await from.call('MIGRATE', target.host, String(target.port), '', '0', '5000', 'KEYS', ...keys);
      }
      await to.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', toId);
      await from.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', toId);
    } finally {
      from.disconnect();
      to.disconnect();
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.servers, ...this.replicas].map((server) => server.stop()));
  }

  private async slotsOf(server: RedisServer): Promise<readonly number[]> {
    const client = new Redis(server.url);
    const nodes = String(await client.call('CLUSTER', 'NODES'));
    client.disconnect();
    const own = nodes.split('\n').find((line) => line.includes('myself')) ?? '';
    return own
      .split(' ')
      .slice(8)
      .filter((range) => !range.startsWith('['))
      .flatMap((range) => {
        const [first = 0, last = first] = range.split('-').map(Number);
        return Array.from({ length: last - first + 1 }, (_, at) => first + at);
      });
  }

  private async addresses(
    clients: readonly Redis[],
  ): Promise<readonly { host: string; port: number; busPort: number }[]> {
    return Promise.all(
      clients.map(async (client, index) => {
        const nodes = String(await client.call('CLUSTER', 'NODES'));
        const server = this.servers[index];
        return {
          host: server?.host ?? '',
          port: server?.port ?? 0,
          busPort: Number(/@(\d+)/.exec(nodes)?.[1]),
        };
      }),
    );
  }
}
