import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  DistributedLock,
  ExclusiveJob,
  LockBusyError,
  LockLostError,
  LockModule,
  LockService,
  LockUnavailableError,
  currentLease,
} from 'nestjs-distributed-lock';
import { redisLock } from 'nestjs-distributed-lock/redis';
import {
  describeLockStrategy,
  LockTestingModule,
  replaceLocks,
  TestLocks,
} from 'nestjs-distributed-lock/testing';

@Injectable()
class Stock {
  entered = (): void => undefined;
  leave = Promise.resolve();

  @DistributedLock('stock:<id>', { waitTime: 60_000 })
  async decrease(id: number): Promise<unknown> {
    this.entered();
    await this.leave;
    return [id, currentLease()?.signal.aborted];
  }

  @ExclusiveJob('job')
  async job(): Promise<string | undefined> {
    return Promise.resolve('ran');
  }

  @DistributedLock('carefree:<id>', { whenUnavailable: 'run', whenLost: 'ignore', strategy: 'local' })
  async carefree(id: number): Promise<number> {
    return Promise.resolve(id);
  }

  @DistributedLock('order:<id>', { transaction: true })
  async order(id: number): Promise<unknown> {
    return [id, await this.decrease(id)];
  }
}

/** As an application writes it: nothing of it can be reached. */
@Module({
  imports: [
    LockModule.forRoot({
      strategy: redisLock({ url: 'redis://127.0.0.1:1' }),
      strategies: { local: redisLock({ url: 'redis://127.0.0.1:1', resources: ['carefree'] }) },
      transactions: () => ({ run: (_request, work) => work(), isActive: () => false }),
    }),
  ],
  providers: [Stock],
})
class AppModule {}

const APPLICATIONS = {
  'LockTestingModule.forTest()': async () => {
    const imports = [LockTestingModule.forTest({ strategies: ['local'] })];
    const app = await Test.createTestingModule({ imports, providers: [Stock] }).compile();
    return { app, locks: app.get(TestLocks) };
  },
  'replaceLocks()': async () => {
    const builder = Test.createTestingModule({ imports: [AppModule] });
    const locks = replaceLocks(builder);
    return { app: await builder.compile(), locks };
  },
};

describe.each(Object.entries(APPLICATIONS))('the locks of %s', (_name, create) => {
  let app: TestingModule;
  let locks: TestLocks;
  let stock: Stock;

  beforeEach(async () => {
    ({ app, locks } = await create());
    app.useLogger(false);
    await app.init();
    stock = app.get(Stock);
  });
  afterEach(() => app.close());

  it('lock, and log what was taken and given back', async () => {
    await expect(stock.order(1)).resolves.toEqual([1, [1, false]]);
    expect(locks.log).toEqual([
      { what: 'acquired', key: 'order:1' },
      { what: 'acquired', key: 'stock:1' },
      { what: 'released', key: 'stock:1' },
      { what: 'released', key: 'order:1' },
    ]);
  });

  it('are busy when they are told so: one of them, or all', async () => {
    locks.beBusy('stock:1');
    await expect(stock.decrease(1)).rejects.toThrow(LockBusyError);
    await expect(stock.decrease(2)).resolves.toEqual([2, false]);
    locks.beBusy();
    await expect(stock.job()).resolves.toBeUndefined();
    locks.beFree();
    await expect(stock.job()).resolves.toBe('ran');
    expect(locks.log[0]).toEqual({ what: 'busy', key: 'stock:1' });
    locks.reset();
    expect(locks.log).toEqual([]);
  });

  it('can not be reached when they are told so', async () => {
    locks.beUnavailable();
    await expect(stock.decrease(1)).rejects.toThrow(LockUnavailableError);
    await expect(stock.carefree(1)).resolves.toBe(1);
    locks.beBusy('job');
    await expect(stock.job()).resolves.toBeUndefined();
    locks.reset();
    await expect(stock.decrease(1)).resolves.toEqual([1, false]);
  });

  it('are lost when they are told so, while the method runs', async () => {
    const entered = new Promise<void>((resolve) => (stock.entered = resolve));
    let leave = (): void => undefined;
    stock.leave = new Promise<void>((resolve) => (leave = resolve));
    const running = stock.decrease(1);
    await entered;
    expect(await locks.isHeld('stock:1')).toBe(true);
    await locks.loseNow('stock:1');
    leave();
    await expect(running).rejects.toThrow(LockLostError);
    await expect(running).rejects.toMatchObject({ result: [1, true] });
    expect(locks.log.map(({ what }) => what)).toEqual(['acquired', 'lost']);
    expect(await locks.isHeld('stock:1')).toBe(false);
  });

  it('say so when there is nothing to lose', async () => {
    await expect(locks.loseNow('stock:1')).rejects.toThrow('Nobody holds "stock:1"');
  });

  it('keep others out, as real ones do', async () => {
    const lease = await app.get(LockService).acquire('stock:1');
    await expect(app.get(LockService).tryAcquire('stock:1')).resolves.toBeNull();
    await lease.release();
    expect(locks.log.map(({ what }) => what)).toEqual(['acquired', 'busy', 'released']);
  });
});

describeLockStrategy({
  name: 'the locks of tests',
  traits: { scope: 'process', order: 'strict', fencing: true },
  create: () => () => new TestLocks().strategy,
});
