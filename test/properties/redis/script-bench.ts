import { Redis } from 'ioredis';
import { SCRIPTS } from '../../../libs/lock/src/strategies/redis/scripts/scripts.generated';
import { type SharedServer, sharedRedis } from '../../support/servers/shared-server';
import { microseconds } from './lock-model';

const CLOCK_LINE = "local time = redis.call('TIME')";
const CHANNEL = 'inbox:';

/** Runs the scripts of the Redis lock on a real Redis whose clock is ours: the one line that reads it is replaced. */
export class ScriptBench {
  /** What came to inboxes since it was last asked: `instance message`. */
  private received: string[] = [];

  static async open(): Promise<ScriptBench> {
    const server = await sharedRedis();
    const bench = new ScriptBench(server, new Redis(server.url), new Redis(server.url));
    bench.inbox.on('smessage', (channel: string, message: string) =>
      bench.received.push(`${channel.slice(CHANNEL.length)} ${message}`),
    );
    return bench;
  }

  private constructor(
    private readonly server: SharedServer,
    readonly redis: Redis,
    private readonly inbox: Redis,
  ) {}

  async run(
    script: keyof typeof SCRIPTS,
    micros: number,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<string> {
    const { source, keys: count } = SCRIPTS[script];
    const clock = microseconds(micros);
    const shifted = source.replaceAll(
      CLOCK_LINE,
      `local time = { '${clock.slice(0, 10)}', '${clock.slice(10)}' }`,
    );
    if (shifted === source) throw new Error(`${script} does not read the clock where it did.`);
    return (await this.redis.eval(shifted, count, ...keys.slice(0, count), ...args)) as string;
  }

  listen(instance: string): Promise<unknown> {
    return this.inbox.ssubscribe(CHANNEL + instance);
  }

  /** The process is gone: nobody reads its inbox any more. */
  leave(instance: string): Promise<unknown> {
    return this.inbox.sunsubscribe(CHANNEL + instance);
  }

  /** Messages are in the connection before the answer to what is asked after them. */
  async messages(): Promise<readonly string[]> {
    await this.inbox.ping();
    return this.received.splice(0);
  }

  /** Members and scores, one after another. */
  async queue(key: string): Promise<readonly string[]> {
    // Pairs under RESP3, one list under RESP2.
    const reply = (await this.redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) as unknown[];
    return reply.flat().map(String);
  }

  get wire(): string {
    return `S${CHANNEL}`;
  }

  async close(): Promise<void> {
    this.redis.disconnect();
    this.inbox.disconnect();
    await this.server.stop();
  }
}
