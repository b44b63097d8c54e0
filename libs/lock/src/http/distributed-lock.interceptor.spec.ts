import { request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import {
  Controller,
  Get,
  Injectable,
  Module,
  Param,
  ParseIntPipe,
  Post,
  Res,
  Sse,
  StreamableFile,
  UseInterceptors,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  DistributedLock,
  DistributedLockExceptionFilter,
  DistributedLockInterceptor,
  LockBusyError,
  LockConfigurationError,
  LockLostError,
  LockModule,
  LockService,
  LockShutdownError,
  LockTargetNotFoundError,
  LockUnavailableError,
  StaleLockError,
  currentLease,
  type LockHttpOptions,
} from 'nestjs-distributed-lock';
import { Subject, map, timeout } from 'rxjs';
import { nodeResponse, type HttpResponse } from './http-response.js';
import { eventually } from '../testing/patience.js';

const ERRORS: Record<string, () => Error> = {
  busy: () => new LockBusyError({ key: 'stock:1', waited: 5, holder: 'server-7', queueLength: 3 }),
  lost: () => new LockLostError('its lease ended', { key: 'stock:1' }),
  stale: () => new StaleLockError('too late', { key: 'stock:1' }),
  missing: () => new LockTargetNotFoundError('no row', { key: 'stock:1' }),
  unavailable: () => new LockUnavailableError('redis://secret:6379 is down', { key: 'stock:1' }),
  shutdown: () => new LockShutdownError('closing', { key: 'stock:1' }),
  program: () => new LockConfigurationError('wrong'),
  other: () => new Error('other'),
};

@Injectable()
class Stock {
  ran = 0;
  readonly steps = new Subject<string>();

  @DistributedLock('stock:<id>', { waitTime: 20_000 })
  async decrease(id: number): Promise<number> {
    this.ran++;
    await Promise.resolve();
    return id;
  }
}

@Controller('stock')
@UseInterceptors(DistributedLockInterceptor)
class StockController {
  constructor(private readonly stock: Stock) {}

  @Post(':id')
  order(@Param('id', ParseIntPipe) id: number): Promise<number> {
    return this.stock.decrease(id);
  }

  /** Answers first, and goes on afterwards. */
  @Post('later/:id')
  async orderLater(@Param('id', ParseIntPipe) id: number, @Res() response: HttpResponse): Promise<void> {
    const decreased = this.stock.decrease(id);
    nodeResponse(response).once('close', () => gates.entered.next('answered'));
    response.status(202).send('later');
    await decreased;
  }

  @DistributedLock('stock:<id>', { waitTime: 0 })
  @Get('once/:id')
  async tryOnce(@Param('id', ParseIntPipe) id: number): Promise<number> {
    return id;
  }

  @Get('fails/:kind')
  async fail(@Param('kind') kind: string): Promise<void> {
    throw ERRORS[kind]?.();
  }
}

@Injectable()
class SetsUser implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ user?: unknown; headers: Record<string, string> }>();
    request.user = { id: request.headers['x-user'] };
    return true;
  }
}

const gates = { entered: new Subject<string>(), leave: new Subject<string>() };

@Controller('cart')
@UseInterceptors(
  DistributedLockInterceptor.of((request) => `cart:${request.user['id']}`, { waitTime: 20_000 }),
)
class CartController {
  constructor(private readonly locks: LockService) {}

  @Get('key')
  key(): { key: string | undefined } {
    return { key: currentLease()?.key };
  }

  @Get('both')
  @DistributedLock('cart:<0>')
  async both(@Param('none', { transform: () => '7' }) _user: string): Promise<unknown> {
    return { keys: currentLease()?.keys, waiters: (await this.locks.inspect('cart:7')).waiters.length };
  }

  @Sse('events')
  events() {
    gates.entered.next('events');
    return gates.leave.pipe(map((data) => ({ data })));
  }

  @Get('file')
  file(): StreamableFile {
    const stream = new Readable({ read: () => undefined });
    stream.push('first');
    gates.leave.subscribe({
      complete: () => undefined,
      next: (rest) => (stream.push(rest), stream.push(null)),
    });
    return new StreamableFile(stream);
  }

  @Get('slow')
  async slow(): Promise<string> {
    gates.entered.next('slow');
    await new Promise<void>((resolve) => gates.leave.subscribe(() => resolve()));
    return 'done';
  }
}

@Controller('templates')
class TemplatesController {
  @Get('one/:id')
  @UseInterceptors(DistributedLockInterceptor.of('cart:<user.id>:<params.id>'))
  one(): { keys: unknown } {
    return { keys: currentLease()?.keys };
  }

  @Get('several')
  @UseInterceptors(DistributedLockInterceptor.of(['tenant:<headers.x-tenant>', 'cart:<user.id>']))
  several(): { keys: unknown } {
    return { keys: currentLease()?.keys };
  }
}

/** Gives its handler up before the lock is free. */
@Controller('gives-up')
@UseInterceptors(
  { intercept: (_context, next) => next.handle().pipe(timeout(50)) },
  DistributedLockInterceptor,
)
class GivingUpController {
  constructor(private readonly stock: Stock) {}

  @Get()
  order(): Promise<number> {
    return this.stock.decrease(4);
  }
}

@Controller('impatient')
@UseInterceptors(
  { intercept: (_context, next) => next.handle().pipe(timeout(50)) },
  DistributedLockInterceptor.of(() => 'impatient'),
)
class ImpatientController {
  @Get()
  async slow(): Promise<string> {
    await new Promise<void>((resolve) => gates.leave.subscribe(() => resolve()));
    return 'done';
  }
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

/** A client with a connection of its own, which it can cut. */
function client(app: INestApplication, method: string, path: string, headers: Record<string, string> = {}) {
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  const outgoing = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false });
  const chunks: string[] = [];
  const answer = new Promise<Answer>((resolve, reject) => {
    outgoing.on('error', reject).on('response', (incoming) => {
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = chunks.join('');
        const body = (/^[{[]/.test(text) ? JSON.parse(text) : { text }) as Record<string, unknown>;
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
      });
    });
  });
  answer.catch(() => undefined);
  outgoing.end();
  return { answer, received: () => chunks.join(''), hangUp: () => outgoing.destroy() };
}

function until(state: () => boolean | Promise<boolean>, what: string): Promise<void> {
  return eventually(what, 10_000, state);
}

const ADAPTERS = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() };

async function start(platform: keyof typeof ADAPTERS, http?: LockHttpOptions): Promise<INestApplication> {
  @Module({
    imports: [LockModule.forRoot({ http })],
    controllers: [
      StockController,
      CartController,
      ImpatientController,
      GivingUpController,
      TemplatesController,
    ],
    providers: [Stock],
  })
  class App {}
  const app = await NestFactory.create(App, ADAPTERS[platform](), { logger: false, abortOnError: false });
  app.useGlobalGuards(new SetsUser());
  await app.listen(0, '127.0.0.1');
  return app;
}

describe.each(['Express', 'Fastify'] as const)('DistributedLockInterceptor on %s', (platform) => {
  let app: INestApplication;
  let locks: LockService;
  const get = (path: string, headers?: Record<string, string>) => client(app, 'GET', path, headers);
  const waiters = async (key: string): Promise<number> => (await locks.inspect(key)).waiters.length;

  beforeAll(async () => {
    app = await start(platform);
    locks = app.get(LockService);
  });
  afterAll(() => app.close());

  it('takes a client that hangs up out of the queue, and its method never runs', async () => {
    const lease = await locks.acquire('stock:1');
    const stock = app.get(Stock);
    const before = stock.ran;
    const clients = Array.from({ length: 20 }, () => client(app, 'POST', '/stock/1'));
    await until(async () => (await waiters('stock:1')) === 20, '20 waiters');
    for (const { hangUp } of clients.slice(0, 19)) hangUp();
    await until(async () => (await waiters('stock:1')) === 1, 'one waiter');
    expect(stock.ran).toBe(before);
    await lease.release();
    expect((await clients[19]?.answer)?.status).toBe(201);
    expect(stock.ran).toBe(before + 1);
  });

  it('lets a method finish whose client hangs up while it runs', async () => {
    const entered = new Promise<void>((resolve) => gates.entered.subscribe(() => resolve()));
    const { hangUp } = get('/cart/slow', { 'x-user': 'runs' });
    await entered;
    hangUp();
    const next = locks.acquire('cart:runs');
    await until(async () => (await waiters('cart:runs')) === 1, 'the next one waits');
    // The connection is gone for the server as well once it answers others after the hang-up.
    await get('/cart/key', { 'x-user': 'other' }).answer;
    expect((await locks.inspect('cart:runs')).held).toBe(true);
    expect(await waiters('cart:runs')).toBe(1);
    gates.leave.next('go');
    await (await next).release();
  });

  it('takes an answer that was sent for no hang-up', async () => {
    const lease = await locks.acquire('stock:3');
    const ran = app.get(Stock).ran;
    const answered = new Promise<void>((resolve) => gates.entered.subscribe(() => resolve()));
    expect((await client(app, 'POST', '/stock/later/3').answer).status).toBe(202);
    await answered;
    await new Promise(setImmediate);
    expect(await waiters('stock:3')).toBe(1);
    await lease.release();
    await until(() => app.get(Stock).ran === ran + 1, 'the rest of the work');
  });

  it('answers a busy lock by 423 with Retry-After, without saying who holds it', async () => {
    const lease = await locks.acquire('stock:2');
    const { status, headers, body } = await get('/stock/once/2').answer;
    expect({ status, retry: headers['retry-after'], body }).toEqual({
      status: 423,
      retry: '1',
      body: {
        statusCode: 423,
        code: 'LOCK_BUSY',
        key: 'stock:2',
        message: '"stock:2" is in use by somebody else. Try again in 1 s.',
      },
    });
    await lease.release();
  });

  it.each([
    ['busy', 423, 'LOCK_BUSY', '1'],
    ['lost', 409, 'LOCK_LOST', undefined],
    ['stale', 409, 'LOCK_STALE', undefined],
    ['missing', 404, 'LOCK_TARGET_NOT_FOUND', undefined],
    ['unavailable', 503, 'LOCK_UNAVAILABLE', '1'],
    ['shutdown', 503, 'LOCK_SHUTDOWN', '1'],
    ['program', 500, undefined, undefined],
    ['other', 500, undefined, undefined],
  ])('answers %s by %i', async (kind, status, code, retryAfter) => {
    const answer = await get(`/stock/fails/${kind}`).answer;
    expect(answer.status).toBe(status);
    expect(answer.body['code']).toBe(code);
    expect(answer.headers['retry-after']).toBe(retryAfter);
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|server-7/);
    if (code !== undefined) expect(answer.body['key']).toBe('stock:1');
  });

  it('locks every handler of a controller by what the request says', async () => {
    expect((await get('/cart/key', { 'x-user': '7' }).answer).body).toEqual({ key: 'cart:7' });
    const lease = await locks.acquire('cart:7');
    const waiting = get('/cart/key', { 'x-user': '7' });
    await until(async () => (await waiters('cart:7')) === 1, 'a waiter');
    expect((await get('/cart/key', { 'x-user': '8' }).answer).status).toBe(200);
    const leaving = get('/cart/key', { 'x-user': '7' });
    await until(async () => (await waiters('cart:7')) === 2, 'two waiters');
    leaving.hangUp();
    await until(async () => (await waiters('cart:7')) === 1, 'one waiter');
    await lease.release();
    expect((await waiting.answer).body).toEqual({ key: 'cart:7' });
  });

  it('refuses a request that makes no key', async () => {
    expect((await get('/cart/key').answer).status).toBe(500);
    expect((await get('/templates/one/5').answer).status).toBe(500);
    expect((await get('/templates/several', { 'x-user': '7' }).answer).status).toBe(500);
  });

  it('fills templates from the request, and lets no value reach beyond its segment', async () => {
    expect((await get('/templates/one/5', { 'x-user': '7:5' }).answer).body).toEqual({
      keys: ['cart:7%3A5:5'],
    });
    const headers = { 'x-user': '7', 'x-tenant': 'acme' };
    expect((await get('/templates/several', headers).answer).body).toEqual({
      keys: ['cart:7', 'tenant:acme'],
    });
  });

  it('locks once where interceptor and decorator lock the same', async () => {
    expect((await get('/cart/both', { 'x-user': '7' }).answer).body).toEqual({
      keys: ['cart:7'],
      waiters: 0,
    });
    expect((await locks.inspect('cart:7')).held).toBe(false);
  });

  it('holds a stream of events until its client goes away', async () => {
    const entered = new Promise<void>((resolve) => gates.entered.subscribe(() => resolve()));
    const events = get('/cart/events', { 'x-user': 'sse' });
    await entered;
    await until(() => (gates.leave.next('one'), events.received().includes('data: one')), 'the first event');
    expect((await locks.inspect('cart:sse')).held).toBe(true);
    events.hangUp();
    await until(async () => !(await locks.inspect('cart:sse')).held, 'the lock is free');
  });

  it('holds a file until it is sent', async () => {
    const file = get('/cart/file', { 'x-user': 'file' });
    await until(() => file.received() === 'first', 'the first part');
    expect((await locks.inspect('cart:file')).held).toBe(true);
    gates.leave.next(' second');
    expect((await file.answer).body).toEqual({ text: 'first second' });
    await until(async () => !(await locks.inspect('cart:file')).held, 'the lock is free');
  });

  it('stops waiting when somebody outside gives the handler up', async () => {
    const lease = await locks.acquire('stock:4');
    const ran = app.get(Stock).ran;
    expect((await get('/gives-up').answer).status).toBe(500);
    await until(async () => (await waiters('stock:4')) === 0, 'nobody waits');
    await lease.release();
    expect(app.get(Stock).ran).toBe(ran);
  });

  it('keeps the lock of a method that runs on after somebody outside gave it up', async () => {
    expect((await get('/impatient').answer).status).toBe(500);
    expect((await locks.inspect('impatient')).held).toBe(true);
    gates.leave.next('go');
    await until(async () => !(await locks.inspect('impatient')).held, 'the lock is free');
  });
});

describe('the answers', () => {
  it('are those of forRoot({ http })', async () => {
    const app = await start('Express', { busy: 429, unavailable: 502, lost: 410, retryAfter: 7 });
    const busy = await client(app, 'GET', '/stock/fails/busy').answer;
    expect([busy.status, busy.headers['retry-after']]).toEqual([429, '7']);
    expect((await client(app, 'GET', '/stock/fails/unavailable').answer).status).toBe(502);
    expect((await client(app, 'GET', '/stock/fails/lost').answer).status).toBe(410);
    await app.close();
  });

  it.each(['Express', 'Fastify'] as const)('are given by the filter alone on %s', async (platform) => {
    @Controller('fails')
    class Failing {
      @Get(':kind')
      async fail(@Param('kind') kind: string): Promise<void> {
        throw ERRORS[kind]?.();
      }
    }
    @Module({ imports: [LockModule.forRoot()], controllers: [Failing] })
    class App {}
    const app = await NestFactory.create(App, ADAPTERS[platform](), { logger: false, abortOnError: false });
    app.useGlobalFilters(new DistributedLockExceptionFilter({ busy: 409 }));
    await app.listen(0, '127.0.0.1');
    const busy = await client(app, 'GET', '/fails/busy').answer;
    expect([busy.status, busy.headers['retry-after'], busy.body['code']]).toEqual([409, '1', 'LOCK_BUSY']);
    expect((await client(app, 'GET', '/fails/missing').answer).status).toBe(404);
    expect((await client(app, 'GET', '/fails/program').answer).status).toBe(500);
    await app.close();
  });

  it.each<[LockHttpOptions, string]>([
    [{ busy: 200 }, 'busy must be an HTTP status from 400 to 599, got 200'],
    [{ retryAfter: -1 }, 'retryAfter must be a whole number of seconds, got -1'],
    [{ bussy: 423 } as LockHttpOptions, 'there is no option "bussy"'],
  ])('can not be %j', async (http, message) => {
    await expect(start('Express', http)).rejects.toThrow(message);
  });

  it.each([
    ['cart:<0>', /<0>, which is no property of a request.*<user\.id>, <params\.id> or <headers\.x-tenant>/],
    ['cart:<this.id>', /<this\.id>, which is no property of a request/],
    ['cart:<user..id>', /<user\.\.id>, which is no property of a request/],
    ['cart:{user}', /DistributedLockInterceptor\.of has braces/],
    ['', /is an empty string/],
  ])('are refused with the key "%s" when the class is defined', (key, message) => {
    expect(() => DistributedLockInterceptor.of(key)).toThrow(message);
  });

  it('are refused with wrong options of a lock when the class is defined', () => {
    expect(() => DistributedLockInterceptor.of(() => 'cart', { waitTime: -1 })).toThrow(
      LockConfigurationError,
    );
  });
});
