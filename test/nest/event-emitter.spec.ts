import { Injectable, Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { DistributedLock, LockModule } from 'nestjs-distributed-lock';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Injectable()
class Listener {
  @OnEvent('sold.above', { promisify: true })
  @DistributedLock('above:<event.id>')
  async above(event: { readonly id: number }): Promise<string> {
    return `${await turnstile.pass()} of ${event.id}`;
  }

  @DistributedLock('below:<event.id>')
  @OnEvent('sold.below', { promisify: true })
  async below(event: { readonly id: number }): Promise<string> {
    return `${await turnstile.pass()} of ${event.id}`;
  }
}

@Module({ imports: [EventEmitterModule.forRoot(), LockModule.forRoot()], providers: [Listener] })
class App {}

describe('a locked listener of @nestjs/event-emitter', () => {
  let app: INestApplicationContext;

  beforeAll(async () => {
    app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    await app.init();
  });
  afterAll(() => app.close());

  it.each(['above', 'below'])('hears one event at a time with @OnEvent %s the lock', async (place) => {
    const answers = await expectTurns(app, { key: `${place}:7`, turnstile }, () =>
      app.get(EventEmitter2).emitAsync(`sold.${place}`, { id: 7 }),
    );
    expect(answers).toEqual(Array(3).fill([`${place}:7 of 7`]));
  });
});
