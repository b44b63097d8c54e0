import { Module, UseInterceptors, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Args, GraphQLModule, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  DistributedLock,
  DistributedLockInterceptor,
  LockModule,
  LockService,
} from 'nestjs-distributed-lock';
import { eventually } from '../support/eventually';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Resolver()
@UseInterceptors(DistributedLockInterceptor)
class StockResolver {
  @Query(() => String)
  @DistributedLock('above:<id>', { waitTime: 60_000 })
  async above(@Args('id', { type: () => Int }) id: number): Promise<string> {
    return `${await turnstile.pass()} of ${id}`;
  }

  @DistributedLock('below:<id>')
  @Mutation(() => String)
  async below(@Args('id', { type: () => Int }) id: number): Promise<string> {
    return `${await turnstile.pass()} of ${id}`;
  }

  @DistributedLock('busy', { waitTime: 0 })
  @Query(() => String)
  async busy(): Promise<string> {
    return turnstile.pass();
  }

  @Query(() => String)
  @UseInterceptors(DistributedLockInterceptor.of('cart:<headers.x-user>'))
  async ofRequest(): Promise<string> {
    return turnstile.pass();
  }
}

@Module({
  imports: [
    // Without its cache, for which mercurius imports an ES module: Jest can't on Node 20.
    GraphQLModule.forRoot<MercuriusDriverConfig>({
      driver: MercuriusDriver,
      autoSchemaFile: true,
      cache: false,
    }),
    LockModule.forRoot(),
  ],
  providers: [StockResolver],
})
class App {}

describe('a locked resolver', () => {
  let app: INestApplication;
  const ask = async (query: string, init: RequestInit = {}): Promise<unknown> => {
    const answer = await fetch(`${await app.getUrl()}/graphql`, {
      method: 'POST',
      body: JSON.stringify({ query }),
      ...init,
      headers: { 'content-type': 'application/json', ...init.headers },
    });
    return answer.json();
  };

  beforeAll(async () => {
    // A client that hangs up opens its next connection ahead of its next request, and `close` would wait for that.
    const adapter = new FastifyAdapter({ forceCloseConnections: true });
    app = await NestFactory.create(App, adapter, { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
  });
  afterAll(() => app.close());

  it.each([
    ['above', '{ above(id: 7) }'],
    ['below', 'mutation { below(id: 7) }'],
  ])('lets one operation in at a time with the lock %s', async (place, query) => {
    const answers = await expectTurns(app, { key: `${place}:7`, turnstile }, () => ask(query));
    expect(answers).toEqual(Array(3).fill({ data: { [place]: `${place}:7 of 7` } }));
  });

  it('lets the fields of one operation in one after another', async () => {
    const query = '{ a: above(id: 7) b: above(id: 7) }';
    const answer = await ask(query);
    expect(answer).toEqual({ data: { a: 'above:7 of 7', b: 'above:7 of 7' } });
    expect(turnstile.intruders).toEqual([]);
  });

  it('is locked by what the HTTP request says', async () => {
    const answers = await expectTurns(app, { key: 'cart:ada%3A1', turnstile }, () =>
      ask('{ ofRequest }', { headers: { 'x-user': 'ada:1' } }),
    );
    expect(answers).toEqual(Array(3).fill({ data: { ofRequest: 'cart:ada%3A1' } }));
  });

  it('says in the extensions of its error that the lock is busy', async () => {
    const lease = await app.get(LockService).acquire('busy');
    expect(await ask('{ busy }')).toMatchObject({
      errors: [
        {
          message: '"busy" is in use by somebody else. Try again in 1 s.',
          path: ['busy'],
          extensions: { code: 'LOCK_BUSY', key: 'busy', retryAfter: 1 },
        },
      ],
    });
    await lease.release();
  });

  it('does not run for a client that hangs up while it waits', async () => {
    const locks = app.get(LockService);
    const waiters = async (): Promise<number> => (await locks.inspect('above:9')).waiters.length;
    const visits = turnstile.visits;
    const lease = await locks.acquire('above:9');
    const hangUp = new AbortController();
    // More fields than Node allows listeners.
    const fields = Array.from({ length: 12 }, (_, field) => `field${field}: above(id: 9)`);
    const asked = ask(`{ ${fields.join(' ')} }`, { signal: hangUp.signal });
    await eventually('all of them wait', async () => (await waiters()) === 12);
    hangUp.abort();
    await expect(asked).rejects.toThrow();
    await eventually('it left the queue', async () => (await waiters()) === 0);
    await lease.release();
    expect(turnstile.visits).toBe(visits);
  });
});
