import { Redis } from 'ioredis';
import { TcpProxy } from '../../../../../test/fault/faults/tcp-proxy';
import { startRedis, type RedisServer } from '../../../../../test/support/servers/redis-server';
import { LocalClock } from './local-clock.js';
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
