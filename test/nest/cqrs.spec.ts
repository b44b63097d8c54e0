import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CommandBus,
  CommandHandler,
  CqrsModule,
  EventBus,
  EventsHandler,
  QueryBus,
  QueryHandler,
  type ICommandHandler,
  type IEventHandler,
  type IQueryHandler,
} from '@nestjs/cqrs';
import { DistributedLock, LockModule } from 'nestjs-distributed-lock';
import { expectTurns, Turnstile } from './turnstile';

const turnstile = new Turnstile();

class SellStock {
  constructor(readonly id: number) {}
}
class CountStock extends SellStock {}
class StockSold extends SellStock {}

@CommandHandler(SellStock)
class SellStockHandler implements ICommandHandler<SellStock> {
  @DistributedLock('stock:<command.id>')
  async execute(command: SellStock): Promise<string> {
    return `${await turnstile.pass()} sold ${command.id}`;
  }
}

@QueryHandler(CountStock)
class CountStockHandler implements IQueryHandler<CountStock> {
  @DistributedLock('stock:<query.id>')
  async execute(query: CountStock): Promise<string> {
    return `${await turnstile.pass()} counted ${query.id}`;
  }
}

@EventsHandler(StockSold)
class StockSoldHandler implements IEventHandler<StockSold> {
  @DistributedLock('sold:<0.id>')
  async handle(_event: StockSold): Promise<void> {
    await turnstile.pass();
  }
}

@Module({
  imports: [CqrsModule.forRoot(), LockModule.forRoot()],
  providers: [SellStockHandler, CountStockHandler, StockSoldHandler],
})
class App {}

describe('a locked handler of CQRS lets one in at a time', () => {
  let app: INestApplicationContext;

  beforeAll(async () => {
    app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
    await app.init();
  });
  afterAll(() => app.close());

  it('of the commands', async () => {
    const answers = await expectTurns(app, { key: 'stock:7', turnstile }, () =>
      app.get(CommandBus).execute(new SellStock(7)),
    );
    expect(answers).toEqual(Array(3).fill('stock:7 sold 7'));
  });

  it('of the queries', async () => {
    const answers = await expectTurns(app, { key: 'stock:7', turnstile }, () =>
      app.get(QueryBus).execute(new CountStock(7)),
    );
    expect(answers).toEqual(Array(3).fill('stock:7 counted 7'));
  });

  it('of the events', async () => {
    await expectTurns(app, { key: 'sold:7', turnstile }, async () => {
      void app.get(EventBus).publish(new StockSold(7));
    });
  });
});
