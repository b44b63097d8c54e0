import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Module, UseFilters, UseInterceptors, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WsAdapter } from '@nestjs/platform-ws';
import {
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
  type WsResponse,
} from '@nestjs/websockets';
import {
  DistributedLock,
  DistributedLockExceptionFilter,
  DistributedLockInterceptor,
  LockModule,
  LockService,
} from 'nestjs-distributed-lock';
import { WebSocket, type WebSocketServer as WebSocketServerOfWs } from 'ws';
import { eventually } from '../support/eventually';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@WebSocketGateway()
@UseFilters(DistributedLockExceptionFilter)
@UseInterceptors(DistributedLockInterceptor)
class StockGateway {
  @WebSocketServer()
  readonly server: WebSocketServerOfWs | undefined;

  @SubscribeMessage('above')
  @DistributedLock('above:<body.id>', { waitTime: 60_000 })
  async above(@MessageBody() body: { readonly id: number }): Promise<WsResponse<string>> {
    return { event: 'sold', data: `${await turnstile.pass()} of ${body.id}` };
  }

  @DistributedLock('below:<body.id>')
  @SubscribeMessage('below')
  async below(@MessageBody() body: { readonly id: number }): Promise<WsResponse<string>> {
    return { event: 'sold', data: `${await turnstile.pass()} of ${body.id}` };
  }

  @DistributedLock('busy', { waitTime: 0 })
  @SubscribeMessage('busy')
  async busy(): Promise<void> {}

  @SubscribeMessage('keyed')
  @UseInterceptors(DistributedLockInterceptor.of(() => 'keyed'))
  keyed(): WsResponse<string> {
    return { event: 'sold', data: 'without a lock' };
  }
}

@Module({ imports: [LockModule.forRoot()], providers: [StockGateway] })
class App {}

describe('a locked handler of a gateway', () => {
  let app: INestApplication;

  beforeAll(async () => {
    app = await NestFactory.create(App, { logger: false, abortOnError: false });
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
  });
  afterAll(() => app.close());

  it.each(['above', 'below'])('lets one message in at a time with the lock %s', async (place) => {
    const answers = await expectTurns(app, { key: `${place}:7`, turnstile }, async () => {
      const client = await connect(app);
      const answer = await client.ask(place, { id: 7 });
      client.leave();
      return answer;
    });
    expect(answers).toEqual(Array(3).fill({ event: 'sold', data: `${place}:7 of 7` }));
  });

  it('does not run for a client that disconnects while it waits', async () => {
    const locks = app.get(LockService);
    const waiters = async (): Promise<number> => (await locks.inspect('above:9')).waiters.length;
    const visits = turnstile.visits;
    const lease = await locks.acquire('above:9');
    const client = await connect(app);
    client.say('above', { id: 9 });
    await eventually('it waits', async () => (await waiters()) === 1);
    client.leave();
    await eventually('it left the queue', async () => (await waiters()) === 0);
    await lease.release();
    expect(turnstile.visits).toBe(visits);
  });

  it('listens once for the end of a client, however many of its messages wait', async () => {
    const locks = app.get(LockService);
    const lease = await locks.acquire('above:5');
    const client = await connect(app);
    for (let message = 0; message < 12; message += 1) client.say('above', { id: 5 });
    const waiters = async (): Promise<number> => (await locks.inspect('above:5')).waiters.length;
    await eventually('all of them wait', async () => (await waiters()) === 12);
    const [socket] = app.get(StockGateway).server?.clients ?? [];
    expect(app.get(StockGateway).server?.clients.size).toBe(1);
    // Nest and ws listen, too; Node warns of a leak from eleven on.
    expect(socket?.listenerCount('close')).toBeLessThan(6);
    client.leave();
    await eventually('none of them waits', async () => (await waiters()) === 0);
    await lease.release();
  });

  it('tells the client of a busy lock, by the exception filter', async () => {
    const lease = await app.get(LockService).acquire('busy');
    const client = await connect(app);
    expect(await client.ask('busy', { id: 7 })).toEqual({
      event: 'exception',
      data: {
        status: 'error',
        code: 'LOCK_BUSY',
        key: 'busy',
        message: '"busy" is in use by somebody else. Try again in 1 s.',
        retryAfter: 1,
        cause: { pattern: 'busy', data: { id: 7 } },
      },
    });
    client.leave();
    await lease.release();
  });

  it('is not run, rather than run without its lock, where a key must be made of an HTTP request', async () => {
    const client = await connect(app);
    expect(await client.ask('keyed', {})).toMatchObject({ event: 'exception', data: { status: 'error' } });
    client.leave();
  });
});

interface Client {
  say(event: string, data: object): void;
  ask(event: string, data: object): Promise<unknown>;
  leave(): void;
}

async function connect(app: INestApplication): Promise<Client> {
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const say = (event: string, data: object): void => socket.send(JSON.stringify({ event, data }));
  return {
    say,
    ask(event, data) {
      const answer = new Promise((resolve) => {
        socket.onmessage = (message) => resolve(JSON.parse(message.data as string));
      });
      say(event, data);
      return answer;
    },
    leave: () => socket.close(),
  };
}
