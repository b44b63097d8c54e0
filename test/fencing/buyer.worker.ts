import { type LockStrategy, type LockTransactions, type StrategyLease } from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { typeormTransactions } from 'nestjs-distributed-lock/typeorm';
import type { DataSource } from 'typeorm';
import { contextOf, openDataSource } from '../support/typeorm/lock-data-source';
import { Stock } from '../support/typeorm/stock.entity';
import type { BuyerAnswer, BuyerCommand, Way } from './buyer-command';

/** A process that buys one chair, step by step, as the test tells it to. */
class Buyer {
  private lease: StrategyLease | undefined;
  private goOn: () => void = () => undefined;
  private buying: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly strategy: LockStrategy,
    private readonly transactions: LockTransactions,
  ) {}

  async obey(command: BuyerCommand): Promise<void> {
    switch (command.do) {
      case 'lock':
        this.lease = await this.strategy.acquire({
          name: 'stock:1',
          waitTime: 20_000,
          ttl: command.ttl,
          holdAtLeast: 0,
        });
        return;
      case 'read':
        return this.read(command.way);
      case 'write':
        this.goOn();
        return this.buying;
      case 'release':
        return this.lease?.release();
      case 'end':
        await this.strategy.close?.();
        await this.dataSource.destroy();
        process.disconnect();
    }
  }

  /** Resolves when the stock is read; the rest waits for the command to write. */
  private async read(way: Way): Promise<void> {
    const stocks = this.dataSource.getRepository(Stock);
    const told = new Promise<void>((resolve) => {
      this.goOn = resolve;
    });
    await new Promise<void>((isRead, failed) => {
      const buy = async (): Promise<void> => {
        const { quantity } = await stocks.findOneByOrFail({ id: 1 });
        isRead();
        await told;
        await stocks.update({ id: 1 }, { quantity: quantity - 1 });
      };
      this.buying = way === 'unfenced' ? buy() : this.inTransaction(way, buy);
      this.buying.catch(failed);
    });
  }

  private inTransaction(way: Way, work: () => Promise<void>): Promise<void> {
    const { lease } = this;
    const fences = way === 'fenced' && lease !== undefined ? [{ name: lease.name, token: lease.token }] : [];
    const signal = way === 'fenced' && lease !== undefined ? lease.signal : new AbortController().signal;
    return this.transactions.run({ fences, signal }, work);
  }
}

async function open(): Promise<Buyer> {
  const dataSource = await openDataSource(process.env.BUYER_DATABASE_URL ?? '');
  const context = contextOf(dataSource, 'redis');
  const strategy = redisLock({ url: process.env.BUYER_REDIS_URL ?? '' })(context);
  await strategy.connect?.();
  return new Buyer(dataSource, strategy, typeormTransactions({ ttl: 2_000 })(context));
}

const buyer = open();

process.on('message', (command: BuyerCommand) => {
  const answer = (outcome: string): void => {
    process.send?.({ outcome } satisfies BuyerAnswer);
  };
  buyer
    .then((ready) => ready.obey(command))
    .then(
      () => answer('done'),
      (error: { readonly code?: string; readonly message: string }) => answer(error.code ?? error.message),
    );
});
