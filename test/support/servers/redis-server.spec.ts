import { once } from 'node:events';
import { connect } from 'node:net';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from './redis-server';

describe('a throwaway Redis', () => {
  let server: RedisServer;
  let redis: Redis;

  beforeEach(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { lazyConnect: true });
    redis.on('error', () => undefined);
  });

  afterEach(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('keeps its data over an orderly restart on the same port', async () => {
    const { port } = server;
    await redis.set('key', 'value');
    await server.restart({ keepData: true });
    expect(server.port).toBe(port);
    expect(await redis.get('key')).toBe('value');
  });

  it('comes back empty when the data is to be lost', async () => {
    await redis.set('key', 'value');
    await server.restart({ keepData: true });
    await server.restart({ keepData: false });
    expect(await redis.get('key')).toBeNull();
  });

  it('comes back after it was killed', async () => {
    const { pid } = server;
    await server.kill();
    expect(() => server.pid).toThrow('not running');
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    await server.restart({ keepData: true });
    expect(await redis.ping()).toBe('PONG');
  });

  it('answers nobody while it is paused, and goes on afterwards', async () => {
    await redis.ping();
    server.pause();
    let answered = false;
    const answer = redis.ping().finally(() => (answered = true));
    // The kernel takes the connection all the same: only an answer shows that the server runs.
    const socket = connect(server.port, server.host);
    await once(socket, 'connect');
    socket.destroy();
    expect(answered).toBe(false);
    server.resume();
    expect(await answer).toBe('PONG');
  });

  it('listens on the loopback interface only', async () => {
    expect(Object.values(await redis.config('GET', 'bind'))).toContain('127.0.0.1');
  });

  it('takes further arguments', async () => {
    const other = await startRedis({ args: ['--databases', '3'] });
    const client = new Redis(other.url);
    const databases = await client.config('GET', 'databases');
    client.disconnect();
    await other.stop();
    expect(Object.values(databases)).toContain('3');
  });

  it('says what the server said when it can not start', async () => {
    await expect(startRedis({ args: ['--no-such-option', '1'] })).rejects.toThrow(/no-such-option/);
  });
});
