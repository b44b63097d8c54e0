import 'reflect-metadata';
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { type INestApplicationContext, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  DistributedLock,
  ExclusiveJob,
  LockConfigurationError,
  LockModule,
  LockService,
  currentLease,
} from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { withoutLocks } from 'nestjs-distributed-lock/testing';

const ITEMS = 10;
const BUYERS = 40;

/** Stands for the database that two servers share. */
const shelf = new Map<string, number>();

@Injectable()
class Shop {
  readonly tokens: number[] = [];
  runs = 0;

  @DistributedLock('stock:<sku>', { waitTime: 30_000 })
  async sell(sku: string): Promise<boolean> {
    const lease = currentLease();
    if (lease !== undefined) this.tokens.push(lease.token ?? 0);
    return this.sellToWhoeverComes(sku);
  }

  async sellToWhoeverComes(sku: string): Promise<boolean> {
    const left = shelf.get(sku) ?? 0;
    await pause(1);
    if (left === 0) return false;
    shelf.set(sku, left - 1);
    return true;
  }

  @ExclusiveJob('settle', { holdAtLeast: 2_000 })
  async settle(): Promise<void> {
    this.runs += 1;
  }
}

@Module({
  imports: [
    LockModule.forRoot({
      strategy: redisLock({ url: process.env.REDIS_URL ?? '', prefix: process.env.LOCK_PREFIX }),
    }),
  ],
  providers: [Shop],
})
class ShopModule {}

/** An application with Redis alone: two servers sell ten items to forty buyers. */
export async function play(): Promise<void> {
  const servers = await Promise.all([openServer(), openServer()]);
  try {
    const shops = servers.map((server) => server.get(Shop));
    const oversold = await sold((shop) => shop.sellToWhoeverComes('unlocked'), 'unlocked', shops);
    assert.ok(
      oversold > ITEMS,
      `without the lock ${oversold} of ${ITEMS} were sold: this scene proves nothing`,
    );
    assert.equal(await sold((shop) => shop.sell('locked'), 'locked', shops), ITEMS);
    assert.equal(
      new Set(shops.flatMap((shop) => shop.tokens)).size,
      BUYERS,
      'each holder has a token of its own',
    );

    await Promise.all(shops.map((shop) => shop.settle()));
    assert.equal(shops[0].runs + shops[1].runs, 1, 'one of two servers runs the job');

    const [first, second] = servers.map((server) => server.get(LockService));
    const lease = await first.acquire('invoice:1');
    assert.equal(await second.tryAcquire('invoice:1'), null);
    await lease.release();

    await assert.rejects(() => new Shop().sell('plain'), LockConfigurationError);
    assert.equal(await withoutLocks(new Shop()).sell('plain'), false);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

function openServer(): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(ShopModule, { logger: ['error', 'warn'], abortOnError: false });
}

async function sold(
  sell: (shop: Shop) => Promise<boolean>,
  sku: string,
  shops: readonly Shop[],
): Promise<number> {
  shelf.set(sku, ITEMS);
  const answers = await Promise.all(
    Array.from({ length: BUYERS }, (_, buyer) => sell(shops[buyer % shops.length])),
  );
  return answers.filter(Boolean).length;
}
