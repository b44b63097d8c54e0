import {
  Controller,
  Get,
  HttpCode,
  Injectable,
  Module,
  Param,
  ParseIntPipe,
  SetMetadata,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DistributedLock, LockModule } from 'nestjs-distributed-lock';
import { map } from 'rxjs';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

@Injectable()
class NeedsRole implements CanActivate {
  private readonly reflector = new Reflector();

  canActivate(context: ExecutionContext): boolean {
    return this.reflector.get<string>('role', context.getHandler()) === 'clerk';
  }
}

/** Wraps what the handler answers, so that the test sees that it ran. */
const Enveloped = UseInterceptors({
  intercept: (_context: ExecutionContext, next: CallHandler) =>
    next.handle().pipe(map((key: string) => ({ key }))),
});

@Controller('stock')
class StockController {
  @Get('above/:id')
  @HttpCode(202)
  @SetMetadata('role', 'clerk')
  @UseGuards(NeedsRole)
  @Enveloped
  @DistributedLock('stock:<id>')
  async decoratorsAbove(@Param('id', ParseIntPipe) id: number): Promise<string> {
    return `${await turnstile.pass()} ${typeof id}`;
  }

  @DistributedLock('stock:<id>')
  @Get('below/:id')
  @HttpCode(202)
  @SetMetadata('role', 'clerk')
  @UseGuards(NeedsRole)
  @Enveloped
  async decoratorsBelow(@Param('id', ParseIntPipe) id: number): Promise<string> {
    return `${await turnstile.pass()} ${typeof id}`;
  }
}

@Module({ imports: [LockModule.forRoot()], controllers: [StockController] })
class App {}

const ADAPTERS = { Express: () => new ExpressAdapter(), Fastify: () => new FastifyAdapter() };

describe.each(['Express', 'Fastify'] as const)('a locked handler of a controller on %s', (platform) => {
  let app: INestApplication;

  beforeAll(async () => {
    app = await NestFactory.create(App, ADAPTERS[platform](), { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
  });
  afterAll(() => app.close());

  it.each(['above', 'below'])(
    'lets one request in at a time, with the lock %s Nest’s own decorators, which all do their work',
    async (place) => {
      const url = `${await app.getUrl()}/stock/${place}`;
      // Keys are made of what pipes made of the text: "042" and "42" are one lock.
      const answers = await expectTurns(app, { key: 'stock:42', turnstile }, async (number) => {
        const answer = await fetch(`${url}/${['042', '42', '0042'][number]}`);
        return { status: answer.status, body: await answer.json() };
      });
      expect(answers).toEqual(Array(3).fill({ status: 202, body: { key: 'stock:42 number' } }));
    },
  );
});
