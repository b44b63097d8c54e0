import { Controller, Module, UseFilters, UseInterceptors, type INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  Payload,
  Transport,
  type ClientProxy,
} from '@nestjs/microservices';
import {
  DistributedLock,
  DistributedLockExceptionFilter,
  DistributedLockInterceptor,
  LockModule,
  LockService,
} from 'nestjs-distributed-lock';
import { firstValueFrom } from 'rxjs';
import { freePort } from '../../src/database/free-port';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Controller()
@UseFilters(DistributedLockExceptionFilter)
@UseInterceptors(DistributedLockInterceptor)
class StockMessages {
  @MessagePattern('above')
  @DistributedLock('above:<order.id>')
  async above(@Payload() order: { readonly id: number }): Promise<string> {
    return `${await turnstile.pass()} of ${order.id}`;
  }

  @DistributedLock('below:<order.id>')
  @MessagePattern('below')
  async below(@Payload() order: { readonly id: number }): Promise<string> {
    return `${await turnstile.pass()} of ${order.id}`;
  }

  @EventPattern('sold')
  @DistributedLock('sold:<0.id>')
  async sold(@Payload() _order: { readonly id: number }): Promise<void> {
    await turnstile.pass();
  }

  @MessagePattern('busy')
  @DistributedLock('busy', { waitTime: 0 })
  async busy(): Promise<void> {}

  @MessagePattern('keyed')
  @UseInterceptors(DistributedLockInterceptor.of('cart:<user.id>'))
  keyed(): string {
    return 'without a lock';
  }
}

@Module({ imports: [LockModule.forRoot()], controllers: [StockMessages] })
class App {}

describe('a locked handler of messages', () => {
  let app: INestMicroservice;
  let client: ClientProxy;
  const send = (pattern: string, data: object): Promise<unknown> =>
    firstValueFrom(client.send<unknown>(pattern, data));

  beforeAll(async () => {
    const options = { host: '127.0.0.1', port: await freePort() };
    app = await NestFactory.createMicroservice(App, {
      transport: Transport.TCP,
      options,
      logger: false,
      abortOnError: false,
    });
    await app.listen();
    client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  });
  afterAll(async () => {
    await client.close();
    await app.close();
  });

  it.each(['above', 'below'])('takes one message at a time with the lock %s', async (place) => {
    const answers = await expectTurns(app, { key: `${place}:7`, turnstile }, () => send(place, { id: 7 }));
    expect(answers).toEqual(Array(3).fill(`${place}:7 of 7`));
  });

  it('takes one event at a time', async () => {
    await expectTurns(app, { key: 'sold:7', turnstile }, () =>
      firstValueFrom(client.emit<void>('sold', { id: 7 }), { defaultValue: undefined }),
    );
  });

  it('tells the sender of a busy lock, by the exception filter', async () => {
    const lease = await app.get(LockService).acquire('busy');
    await expect(send('busy', {})).rejects.toEqual({
      status: 'error',
      code: 'LOCK_BUSY',
      key: 'busy',
      message: '"busy" is in use by somebody else. Try again in 1 s.',
      retryAfter: 1,
    });
    await lease.release();
  });

  it('is not run, rather than run without its lock, where a key must be made of an HTTP request', async () => {
    await expect(send('keyed', {})).rejects.toMatchObject({ status: 'error' });
  });
});
