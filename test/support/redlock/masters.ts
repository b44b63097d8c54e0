import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { LockRequest, LockStrategy, LockStrategyFactory } from 'nestjs-distributed-lock';
import { quorumLock, type QuorumLockOptions } from 'nestjs-distributed-lock/redlock';
import { eventually } from '../eventually';
import { type RedisServer, startRedis } from '../servers/redis-server';

/** Independent masters, the quorum strategies that use them, and an eye on what is in them. */
export class Masters {
  static async start(count: number): Promise<Masters> {
    return new Masters(await Promise.all(Array.from({ length: count }, () => startRedis())));
  }

  private readonly strategies: LockStrategy[] = [];
  private readonly clients = new Map<RedisServer, Redis>();

  private constructor(readonly servers: readonly RedisServer[]) {}

  get urls(): string[] {
    return this.servers.map(({ url }) => url);
  }

  /** A strategy as an application has it: built, and connected. */
  async lock(options: Partial<QuorumLockOptions> = {}): Promise<LockStrategy> {
    const strategy = this.build(
      quorumLock({ nodes: this.urls, retryDelay: 20, retryJitter: 20, ...options }),
    );
    await strategy.connect?.();
    return strategy;
  }

  /** A strategy that is not connected yet; closed with the others. */
  build(factory: LockStrategyFactory, provided?: unknown): LockStrategy {
    const strategy = factory({ strategy: 'quorum', get: <T>() => provided as T });
    this.strategies.push(strategy);
    return strategy;
  }

  /** A connection of the test's own to one of the masters. */
  client(server: RedisServer): Redis {
    const existing = this.clients.get(server);
    if (existing !== undefined) return existing;
    const client = new Redis(server.url);
    client.on('error', () => undefined);
    this.clients.set(server, client);
    return client;
  }

  /** The values under the lock's key, a master each; null where there is none. */
  values(name: string, servers = this.servers): Promise<(string | null)[]> {
    return Promise.all(servers.map((server) => this.client(server).get(`quorum-lock:${name}`)));
  }

  /** Lets other holders have the lock: `['one', 'two', null]`. */
  async occupy(name: string, values: readonly (string | null)[], ttl = 60_000): Promise<void> {
    await Promise.all(
      values.map(async (value, index) => {
        const server = this.servers[index];
        if (value === null || server === undefined) return;
        await this.client(server).set(`quorum-lock:${name}`, value, 'PX', ttl);
      }),
    );
  }

  async untilFree(name: string, servers = this.servers): Promise<void> {
    await eventually(`no master has "${name}"`, async () =>
      (await this.values(name, servers)).every((value) => value === null),
    );
  }

  /** Closes the strategies that a test has opened. */
  async closeLocks(): Promise<void> {
    await Promise.all(this.strategies.splice(0).map(async (strategy) => strategy.close?.()));
  }

  async stop(): Promise<void> {
    await this.closeLocks();
    for (const client of this.clients.values()) client.disconnect();
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** A wish for a lock of its own name, unless told otherwise. */
export function wish(more: Partial<LockRequest> = {}): LockRequest {
  return { name: `test:${randomBytes(6).toString('hex')}`, waitTime: 0, ttl: 2_000, holdAtLeast: 0, ...more };
}

/** How a call ends: 'granted', or the code of its error. */
export function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'granted',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
}

/** Lets commands go out, then stops this process, so that their answers wait to be read. */
export async function blockFor(duration: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  const end = performance.now() + duration;
  while (performance.now() < end);
}
