import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { DataSource } from 'typeorm';
import { contextOf } from '../../../../../test/support/typeorm/lock-data-source';
import { outcome, wish } from '../../../../../test/support/typeorm/lock-bench';
import { Order, Stock } from '../../../../../test/support/typeorm/stock.entity';
import { typeormLock } from './typeorm-lock.js';
import { typeormTransactions } from './typeorm-transactions.js';

describe('typeormLock on a data source that can’t lock', () => {
  it('refuses SQLite at the start, and names the strategies that work', async () => {
    const dataSource = await new DataSource({ type: 'sqljs', entities: [Stock, Order] }).initialize();
    const strategy = typeormLock()(contextOf(dataSource));
    const refusal = {
      code: 'LOCK_CONFIGURATION',
      message: expect.stringMatching(/"sqljs".*redisLock\(\).*memoryLock\(\)/s) as string,
    };
    await expect(strategy.connect?.()).rejects.toMatchObject(refusal);
    await expect(strategy.acquire(wish('a'))).rejects.toMatchObject(refusal);
    const request = { fences: [], signal: new AbortController().signal };
    const running = typeormTransactions()(contextOf(dataSource)).run(request, () => Promise.resolve());
    await expect(running).rejects.toMatchObject(refusal);
    await dataSource.destroy();
  });

  it('refuses a stricter isolation level, unless told that READ COMMITTED is right inside of locks', async () => {
    const dataSource = new DataSource({ type: 'postgres', isolationLevel: 'SERIALIZABLE' });
    await expect(typeormLock()(contextOf(dataSource)).connect?.()).rejects.toMatchObject({
      code: 'LOCK_CONFIGURATION',
      message: expect.stringContaining('SERIALIZABLE') as string,
    });
    const strategy = typeormLock({ isolationLevel: 'READ COMMITTED' })(contextOf(dataSource));
    await strategy.connect?.();
    await strategy.close?.();
  });

  it('says that the application has no data source', async () => {
    const strategy = typeormLock({ dataSource: 'orders' })({
      strategy: 'database',
      get: () => {
        throw new Error('Nest could not find the element');
      },
    });
    await expect(strategy.connect?.()).rejects.toMatchObject({
      code: 'LOCK_CONFIGURATION',
      strategy: 'database',
      message: expect.stringContaining('no data source named "orders"') as string,
    });
  });

  it('refuses an option that there is none, instead of locking other rows than it was told', () => {
    const misspelt = { resource: { stock: Stock } } as object;
    expect(() => typeormLock(misspelt)).toThrow(
      expect.objectContaining({
        code: 'LOCK_CONFIGURATION',
        message: expect.stringMatching(
          /typeormLock: there is no option "resource"\. There are .*resources/,
        ) as string,
      }) as Error,
    );
  });

  it('refuses an option of the transactions that there is none', () => {
    const misspelt = { timeToLive: 1_000 } as object;
    expect(() => typeormTransactions(misspelt)).toThrow(
      expect.objectContaining({
        code: 'LOCK_CONFIGURATION',
        message: expect.stringMatching(
          /typeormTransactions: there is no option "timeToLive"\. There are .*ttl/,
        ) as string,
      }) as Error,
    );
  });

  it.each([
    [{ maxConnections: 0 }, 'maxConnections: 0'],
    [{ maxConnections: 1.5 }, 'maxConnections: 1.5'],
    [{ connectTimeout: 1 }, 'connectTimeout: 1'],
    [{ connectTimeout: Number.NaN }, 'connectTimeout: NaN'],
    [{ deadlockRetries: -1 }, 'deadlockRetries: -1'],
    [{ purgeAfter: 0 }, 'purgeAfter: 0'],
    [{ shutdownTimeout: -1 }, 'shutdownTimeout: -1'],
  ])('refuses %o when the module is defined', (options, named) => {
    expect(() => typeormLock(options)).toThrow(
      expect.objectContaining({
        code: 'LOCK_CONFIGURATION',
        message: expect.stringContaining(named) as string,
      }) as Error,
    );
  });

  it.each([
    [{ ttl: 0 }, 'ttl: 0'],
    [{ waitTime: -1 }, 'waitTime: -1'],
  ])('refuses %o for transactions when the module is defined', (options, named) => {
    expect(() => typeormTransactions(options)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(named) as string }) as Error,
    );
  });
});

describe('typeormLock without a database', () => {
  let silent: Server;

  beforeAll(async () => {
    // Takes connections, and never says a word.
    silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  });

  afterAll(() => new Promise((resolve) => silent.close(resolve)));

  it.each(['postgres', 'mariadb'] as const)(
    'is unavailable before a %s data source is initialised',
    async (type) => {
      const strategy = typeormLock()(contextOf(new DataSource({ type })));
      await strategy.connect?.();
      expect(await outcome(strategy.acquire(wish('a')))).toBe('LOCK_UNAVAILABLE');
      expect(await outcome(strategy.inspect?.('a') ?? Promise.resolve())).toBe('LOCK_UNAVAILABLE');
      await strategy.close?.();
    },
  );

  it.each(['postgres', 'mariadb'] as const)(
    'is unavailable, and never hangs, when a %s never answers',
    async (type) => {
      const { port } = silent.address() as AddressInfo;
      const sockets: { destroy(): void }[] = [];
      silent.on('connection', (socket) => sockets.push(socket));
      const dataSource = new DataSource({
        type,
        host: '127.0.0.1',
        port,
        username: 'nobody',
        password: '',
        database: 'none',
        poolSize: 2,
      });
      // As after a start that worked: the pool is there, the server does not answer any more.
      dataSource.initialize().catch(() => undefined);
      Object.assign(dataSource, { isInitialized: true });
      const strategy = typeormLock({ connectTimeout: 100 })(contextOf(dataSource));
      expect(await outcome(strategy.acquire(wish('a', { waitTime: 200 })))).toBe('LOCK_UNAVAILABLE');
      expect(await outcome(strategy.acquire(wish('a', { waitTime: 0 })))).toBe('LOCK_UNAVAILABLE');
      await strategy.close?.();
      for (const socket of sockets) socket.destroy();
    },
  );
});
