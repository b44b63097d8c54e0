import { Injectable, Module, type LoggerService, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DistributedLock, LockModule, LockService } from 'nestjs-distributed-lock';
import { eventually } from '../support/eventually';

/** The lines that the application logged, in one list. */
class LogLines implements LoggerService {
  readonly warnings: string[] = [];

  warn(line: string, context?: string): void {
    if (context === 'DistributedLock') this.warnings.push(line);
  }

  log(): void {}
  error(): void {}
}

@Injectable()
class Shop {
  @DistributedLock('order:<id>')
  async place(id: number): Promise<void> {
    await this.takeFromStock(id);
  }

  @DistributedLock('stock:<id>')
  async takeFromStock(id: number): Promise<void> {
    await Promise.resolve(id);
  }

  @DistributedLock(['stock:<id>', 'shelf:<id>'])
  async refill(id: number): Promise<void> {
    await this.cancel(id);
  }

  @DistributedLock(['order:<id>', 'parcel:<id>'])
  async cancel(id: number): Promise<void> {
    await Promise.resolve(id);
  }

  @DistributedLock('slow:<id>', { waitTime: 2_000 })
  async slow(id: string): Promise<void> {
    await Promise.resolve(id);
  }
}

async function start(environment: string, shop: Type = Shop) {
  @Module({ imports: [LockModule.forRoot()], providers: [shop] })
  class App {}
  const logger = new LogLines();
  const before = process.env['NODE_ENV'];
  process.env['NODE_ENV'] = environment;
  try {
    const app = await NestFactory.createApplicationContext(App, { logger, abortOnError: false });
    return { app, shop: app.get(Shop), warnings: logger.warnings };
  } finally {
    process.env['NODE_ENV'] = before;
  }
}

describe('an application warns', () => {
  it('once, with both stacks, of two resources that are locked in both orders', async () => {
    const { app, shop, warnings } = await start('development');
    await placesAnOrder(shop);
    expect(warnings).toEqual([]);
    await refillsTheShelf(shop);
    await placesAnOrder(shop);
    await refillsTheShelf(shop);
    await app.close();

    const [warning, ...others] = warnings;
    expect(others).toEqual([]);
    expect(warning).toMatch(/^"stock" and "order" are locked in both orders/);
    expect(warning).toMatch(/"order" inside of "stock": Shop\.cancel/);
    expect(warning).toMatch(/"stock" inside of "order": Shop\.takeFromStock/);
    // Both places in the user's own code, not in ours.
    expect(warning?.match(/warnings\.spec\.ts/g)?.length).toBeGreaterThanOrEqual(2);
    expect(warning).not.toMatch(/libs\/lock\/src/);
  });

  it('of no order of locks in production, where it would cost every call something', async () => {
    const { app, shop, warnings } = await start('production');
    await placesAnOrder(shop);
    await refillsTheShelf(shop);
    await app.close();
    expect(warnings).toEqual([expect.stringContaining('this is production')]);
  });

  it('of a wait that has taken half its time, and names neither the id nor a stranger', async () => {
    const { app, shop, warnings } = await start('production');
    const lease = await app.get(LockService).acquire('slow:secret');
    const waiting = [shop.slow('secret'), shop.slow('secret'), shop.slow('secret')];
    await eventually('the warning', () => warnings.length === 2);
    await lease.release();
    await Promise.all(waiting);
    await app.close();
    expect(warnings[1]).toMatch(
      /^Shop\.slow has waited \d+\.\d s for slow:<id>, 3 in the queue, held by process \d+ .*make the work shorter/,
    );
  });
});

async function placesAnOrder(shop: Shop): Promise<void> {
  await shop.place(1);
}

async function refillsTheShelf(shop: Shop): Promise<void> {
  await shop.refill(1);
}
