import 'reflect-metadata';
import { Injectable, type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DistributedLock, LockModule, memoryLock } from 'nestjs-distributed-lock';
import { processorTime } from '../measuring/processor-time';
import { serve } from '../workers/worker';

export interface DecoratorResult {
  /** Microseconds of processor time a call. */
  readonly decorated: number;
  readonly byHand: number;
  readonly overlaps: number;
}

let inside = 0;
let overlaps = 0;

@Injectable()
class Stock {
  @DistributedLock('stock:<id>')
  decrease(id: number, quantity: number): Promise<number> {
    return this.work(id, quantity);
  }

  async work(id: number, quantity: number): Promise<number> {
    inside += 1;
    if (inside > 1) overlaps += 1;
    await Promise.resolve();
    inside -= 1;
    return id - quantity;
  }
}

const strategy = memoryLock()({
  strategy: 'memory',
  get: () => {
    throw new Error('nothing is injected');
  },
});

let application: INestApplicationContext;

serve({
  async open() {
    @Module({ imports: [LockModule.forRoot({ strategy: memoryLock() })], providers: [Stock] })
    class Shop {}
    application = await NestFactory.createApplicationContext(Shop, { logger: false, abortOnError: false });
  },
  /** Calls both in turn, so many times each. */
  async measure(calls: number): Promise<DecoratorResult> {
    const stock = application.get(Stock);
    const decorated = await perCall(calls, (id) => stock.decrease(id, 1));
    const byHand = await perCall(calls, async (id) => {
      const lease = await strategy.acquire({
        name: `stock:${id}`,
        waitTime: 5_000,
        ttl: 10_000,
        holdAtLeast: 0,
      });
      try {
        return await stock.work(id, 1);
      } finally {
        await lease.release();
      }
    });
    return { decorated, byHand, overlaps };
  },
});

async function perCall(calls: number, call: (id: number) => Promise<unknown>): Promise<number> {
  const before = processorTime();
  for (let id = 0; id < calls; id += 1) await call(id % 1_000);
  return ((processorTime() - before) / calls) * 1_000;
}
