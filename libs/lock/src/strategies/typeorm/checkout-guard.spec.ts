import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { DataSource } from 'typeorm';
import { DATABASES, LockBench, outcome, wish } from '../../../../../test/support/typeorm/lock-bench';

describe.each(DATABASES)(
  'a connection that ends in the moment of its checkout, on $database',
  ({ database, start }) => {
    const isPostgres = database === 'PostgreSQL';
    let bench: LockBench;
    let road: CheckoutRoad;

    beforeAll(async () => {
      bench = await LockBench.open(start);
      const { port } = new URL(bench.server.url);
      road = await CheckoutRoad.open(Number(port), isPostgres ? endsWithReadyForQuery : isSecondMessage);
    });

    afterEach(() => bench.clear());

    afterAll(async () => {
      await road.close();
      await bench.close();
    });

    async function endSessionFrom(port: number): Promise<void> {
      const { dataSource } = bench;
      const ofPort = isPostgres
        ? `SELECT pid AS id FROM pg_stat_activity WHERE client_port = ${port}`
        : `SELECT ID AS id FROM information_schema.PROCESSLIST WHERE HOST LIKE '%:${port}'`;
      const [session] = await dataSource.query<{ id: number }[]>(ofPort);
      await dataSource.query(
        isPostgres ? `SELECT pg_terminate_backend(${session?.id})` : `KILL CONNECTION ${session?.id}`,
      );
    }

    /** Of which the next connections end as they are handed out. */
    async function openDataSourceOnRoad(): Promise<DataSource> {
      const url = new URL(bench.server.url);
      url.port = String(road.port);
      const dataSource = await bench.openDataSource({ poolSize: 3, more: { url: url.href } });
      road.endNext = endSessionFrom;
      return dataSource;
    }

    afterEach(() => {
      road.endNext = undefined;
    });

    it('does not end the process: the call is unavailable, and the next one is served', async () => {
      const dataSource = await openDataSourceOnRoad();
      const strategy = bench.strategy({ maxConnections: 3 }, dataSource);
      const first = await strategy.acquire(wish('first'));
      expect(await outcome(strategy.acquire(wish('second')))).toBe('LOCK_UNAVAILABLE');
      road.endNext = undefined;
      const next = await strategy.acquire(wish('second'));
      await next.release();
      await first.release();
    });

    it('does not end it in a query of the application either, with or without a lock', async () => {
      const dataSource = await openDataSourceOnRoad();
      const transactions = bench.transactions({}, dataSource);
      const request = { fences: [], signal: new AbortController().signal };
      await transactions.run(request, async () => {
        await dataSource.query('SELECT 1');
        const outside = dataSource.createQueryRunner('slave');
        await outside.release();
      });
      const runners = [1, 2].map(() => dataSource.createQueryRunner());
      await runners[0]?.connect();
      expect(await outcome(runners[1]?.query('SELECT 1') ?? Promise.resolve())).not.toBe('fine');
      for (const runner of runners) await runner.release();
    });
  },
);

/**
 * A road to the server, on which the last message of the log-in and the end of the connection arrive at once: the server
 * was told to end it meanwhile.
 */
class CheckoutRoad {
  /** Ends the session that came from this port. */
  endNext: ((port: number) => Promise<unknown>) | undefined;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  static async open(
    target: number,
    isLast: (chunk: Buffer, count: number) => boolean,
  ): Promise<CheckoutRoad> {
    const road = new CheckoutRoad(target, isLast);
    road.server.listen(0, '127.0.0.1');
    await once(road.server, 'listening');
    return road;
  }

  private constructor(target: number, isLast: (chunk: Buffer, count: number) => boolean) {
    this.server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      const isDoomed = this.endNext !== undefined;
      let held: Buffer | undefined;
      let count = 0;
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on('error', () => socket.destroy());
      }
      near.on('data', (chunk) => far.write(chunk));
      near.on('close', () => far.destroy());
      far.on('data', (chunk) => {
        count += 1;
        if (held !== undefined) {
          held = Buffer.concat([held, chunk]);
        } else if (isDoomed && isLast(chunk, count)) {
          held = chunk;
          // A test that is over may have ended it already.
          this.endNext?.(far.localPort ?? 0).catch(() => undefined);
        } else {
          near.write(chunk);
        }
      });
      far.on('close', () => near.end(held ?? ''));
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await once(this.server, 'close');
  }
}

function endsWithReadyForQuery(chunk: Buffer): boolean {
  return chunk.toString('latin1').endsWith('Z\0\0\0\x05I');
}

/** The greeting is the first. */
function isSecondMessage(_chunk: Buffer, count: number): boolean {
  return count === 2;
}
