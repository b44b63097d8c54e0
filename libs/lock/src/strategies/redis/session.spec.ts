import { Redis } from 'ioredis';
import { TcpProxy } from '../../../../../test/fault/faults/tcp-proxy';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import { LocalClock } from './local-clock.js';
import { lockKeys } from './lock-keys.js';
import type { ScriptName } from './script-command.js';
import { askServer } from './server-facts.js';
import { Session, SessionLostError } from './session.js';

describe('a session with a server', () => {
  let server: RedisServer;
  let redis: Redis;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });

  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('stays subscribed to the channel of a lock for which somebody waits again, and leaves it when nobody does', async () => {
    const inbox = new Redis(server.url);
    const session = new Session(await askServer(redis), redis, inbox, new LocalClock(), () => undefined);
    const subscribers = async (): Promise<unknown> =>
      ((await redis.call('PUBSUB', 'SHARDNUMSUB', 'inbox')) as unknown[])[1];
    await session.hear('inbox', false);
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      session.quiet('inbox');
      expect(session.hears('inbox')).toBe(true);
      await jest.advanceTimersByTimeAsync(61_000);
      expect(await subscribers()).toBe(1);
      session.quiet('inbox');
      await jest.advanceTimersByTimeAsync(61_000);
      expect(await subscribers()).toBe(0);
    } finally {
      jest.useRealTimers();
      session.end(new Error('the test is over'));
    }
  });

  it('leaves nobody without an answer when a reply comes in one packet with the error that ends it', async () => {
    const [admin, connection] = [new Redis(server.url), new Redis(server.url)];
    const facts = await askServer(connection);
    const session = new Session(facts, connection, connection, new LocalClock(), () => undefined);
    const { both } = lockKeys('lock:', 'stock:1');
    const run = (script: ScriptName, args: string[]): Promise<unknown> =>
      new Promise((resolve) => session.run({ script, keys: both, args, replied: resolve, failed: resolve }));
    const write = ['A'.repeat(32) + 'W1:1000:1:0', 'Slock:inbox:'];
    // Both scripts are known to the server from here on.
    await Promise.all([run('acquire', write), run('inspect', [])]);
    await admin.call('REPLICAOF', '127.0.0.1', '1');
    try {
      // Both are answered in one go when the pause is over.
      await admin.client('PAUSE', 300, 'ALL');
      const answers = await Promise.all([run('acquire', write), run('inspect', [])]);
      for (const answer of answers) expect(answer).toBeInstanceOf(SessionLostError);
    } finally {
      await admin.call('REPLICAOF', 'NO', 'ONE');
      admin.disconnect();
      session.end(new Error('the test is over'));
    }
  });

  it('is given up when a subscription is not answered', async () => {
    const proxy = await TcpProxy.open(server);
    const connection = new Redis(proxy.port, '127.0.0.1', { retryStrategy: () => null });
    connection.on('error', () => undefined);
    const session = new Session(
      await askServer(connection),
      connection,
      connection,
      new LocalClock(),
      () => undefined,
    );
    proxy.fallSilent();
    await expect(session.hear('inbox', false)).rejects.toBeInstanceOf(SessionLostError);
    await proxy.close();
  });
});
