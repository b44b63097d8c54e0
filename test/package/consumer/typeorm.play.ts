import 'reflect-metadata';
import assert from 'node:assert/strict';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { DistributedLock, LockModule, currentLease } from 'nestjs-distributed-lock';
import {
  CreateDistributedLock1767225600000,
  typeormLock,
  typeormTransactions,
} from 'nestjs-distributed-lock/typeorm';
import { withoutLocks } from 'nestjs-distributed-lock/testing';
import { Column, DataSource, Entity, PrimaryColumn, Repository } from 'typeorm';

const ITEMS = 10;
const BUYERS = 40;

@Entity()
class Stock {
  @PrimaryColumn({ type: 'integer' })
  id!: number;

  @Column({ type: 'integer' })
  quantity!: number;
}

@Injectable()
class Shop {
  constructor(@InjectRepository(Stock) private readonly stocks: Repository<Stock>) {}

  @DistributedLock('stock:<id>', { transaction: true, waitTime: 30_000 })
  async sell(id: number): Promise<boolean> {
    return this.sellToWhoeverComes(id);
  }

  async sellToWhoeverComes(id: number): Promise<boolean> {
    const stock = await this.stocks.findOneByOrFail({ id });
    if (stock.quantity === 0) return false;
    stock.quantity -= 1;
    await this.stocks.save(stock);
    return true;
  }

  @DistributedLock('stock:<id>', { transaction: true })
  async spill(id: number): Promise<void> {
    await this.stocks.update({ id }, { quantity: 0 });
    throw new Error(`spilt with token ${currentLease()?.token}`);
  }
}

const url = process.env.POSTGRES_URL;

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url, entities: [Stock], retryAttempts: 0 }),
    TypeOrmModule.forFeature([Stock]),
    LockModule.forRoot({
      strategy: typeormLock({ resources: { stock: Stock } }),
      strategies: { table: typeormLock() },
      transactions: typeormTransactions(),
    }),
  ],
  providers: [Shop],
})
class ShopModule {}

/** An application with TypeORM and without Redis: two servers sell ten items to forty buyers. */
export async function play(): Promise<void> {
  await layTables();
  const options = { logger: ['error', 'warn'] as ('error' | 'warn')[], abortOnError: false };
  const servers = [
    await NestFactory.createApplicationContext(ShopModule, options),
    await NestFactory.createApplicationContext(ShopModule, options),
  ];
  try {
    const shops = servers.map((server) => server.get(Shop));
    const oversold = await sold((shop) => shop.sellToWhoeverComes(1), shops);
    assert.ok(
      oversold > ITEMS,
      `without the lock ${oversold} of ${ITEMS} were sold: this scene proves nothing`,
    );
    assert.equal(await sold((shop) => shop.sell(2), shops), ITEMS);

    await assert.rejects(shops[0].spill(3), /spilt with token \d/);
    const stocks = servers[0].get(DataSource).getRepository(Stock);
    assert.equal((await stocks.findOneByOrFail({ id: 3 })).quantity, ITEMS, 'what failed is rolled back');
    assert.equal((await stocks.findOneByOrFail({ id: 2 })).quantity, 0);
    assert.equal(await withoutLocks(new Shop(stocks)).sell(2), false);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

async function layTables(): Promise<void> {
  const migrations = [CreateDistributedLock1767225600000];
  const database = new DataSource({
    type: 'postgres',
    url,
    entities: [Stock],
    migrations,
    synchronize: true,
  });
  await database.initialize();
  await database.runMigrations();
  await database.getRepository(Stock).save([1, 2, 3].map((id) => ({ id, quantity: ITEMS })));
  await database.destroy();
}

async function sold(sell: (shop: Shop) => Promise<boolean>, shops: readonly Shop[]): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: BUYERS }, (_, buyer) => sell(shops[buyer % shops.length])),
  );
  return answers.filter(Boolean).length;
}
