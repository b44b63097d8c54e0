import {
  Injectable,
  Module,
  type DynamicModule,
  type INestApplicationContext,
  type LoggerService,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  DistributedLock,
  DistributedLockInterceptor,
  LockConfigurationError,
  LockModule,
  LockService,
  LockShutdownError,
  LockStrategy,
  LockStrategyProvider,
  LockTransactions,
  currentLease,
  memoryLock,
  type LockModuleOptions,
  type LockModuleOptionsFactory,
  type LockRequest,
  type LockRunOptions,
  type MethodLockOptions,
  type LockStrategyFactory,
  type LockTraits,
  type StrategyLease,
  type TransactionRequest,
} from 'nestjs-distributed-lock';
import { eventually, within } from './testing/patience.js';

/** Grants everything, and writes down what it is asked for. */
class RecordingStrategy extends LockStrategy {
  readonly traits: LockTraits = { scope: 'shared', order: 'none', fencing: false };

  constructor(
    private readonly log: string[],
    private readonly name: string,
    override readonly resources: readonly string[] = [],
  ) {
    super();
  }

  override async connect(): Promise<void> {
    this.log.push(`${this.name} connect`);
  }

  async acquire({ name }: LockRequest): Promise<StrategyLease> {
    this.log.push(`${this.name} ${name}`);
    const nothing = async (): Promise<void> => undefined;
    const { signal } = new AbortController();
    return { name, token: undefined, signal, remaining: 1_000, extend: nothing, release: nothing };
  }

  override async drain(): Promise<void> {
    this.log.push(`${this.name} drain`);
  }

  override async close(): Promise<void> {
    this.log.push(`${this.name} close`);
  }
}

const recording =
  (log: string[], resources?: readonly string[]): LockStrategyFactory =>
  ({ strategy }) =>
    new RecordingStrategy(log, strategy, resources);

@Injectable()
class Stock {
  @DistributedLock('stock:<id>')
  async decrease(id: number): Promise<unknown> {
    return [currentLease()?.key, id];
  }
}

/** Keeps Nest's output for the tests to read. */
class Output implements LoggerService {
  readonly lines: string[] = [];
  log = (...args: unknown[]): void => this.keep('log', args);
  warn = (...args: unknown[]): void => this.keep('warn', args);
  error = (...args: unknown[]): void => this.keep('error', args);

  ours(level: 'log' | 'warn'): string[] {
    const [prefix, suffix] = [`${level} `, ' DistributedLock'];
    return this.lines
      .filter((line) => line.startsWith(prefix) && line.endsWith(suffix))
      .map((line) => line.slice(prefix.length, -suffix.length));
  }

  private keep(level: string, args: unknown[]): void {
    this.lines.push([level, ...args].map(String).join(' '));
  }
}

const running: INestApplicationContext[] = [];
let output: Output;

async function start(...imports: (DynamicModule | Type)[]): Promise<INestApplicationContext> {
  class Root {}
  Module({ imports })(Root);
  output = new Output();
  const app = await NestFactory.createApplicationContext(Root, { logger: output, abortOnError: false });
  running.push(app);
  return app;
}

function providing(...providers: Type[]): DynamicModule {
  class Feature {}
  return { module: Feature, providers, exports: providers };
}

afterEach(async () => {
  for (const app of running.splice(0)) await app.close();
});

describe('LockModule.forRoot', () => {
  it('locks every module of the application within this process when nothing is configured', async () => {
    const app = await start(LockModule.forRoot(), providing(Stock));
    await expect(app.get(Stock).decrease(1)).resolves.toEqual(['stock:1', 1]);
    expect(app.get(LockService)).toBeInstanceOf(LockService);
  });

  it('says in one line what is configured', async () => {
    await start(LockModule.forRoot({ strategies: { fast: recording([]) }, strategy: memoryLock() }));
    expect(output.ours('log')).toEqual([
      'Locks: default = MemoryLockStrategy (for this process only, in strict order, with fencing tokens); ' +
        'fast = RecordingStrategy (for all servers, in no order, without fencing tokens); transactions: none',
    ]);
    expect(output.ours('warn')).toEqual([]);
  });

  it('warns in production of a lock that keeps no other server out', async () => {
    const before = process.env['NODE_ENV'];
    process.env['NODE_ENV'] = 'production';
    try {
      await start(
        LockModule.forRoot({
          strategies: { shared: recording([]), own: memoryLock() },
          strategy: recording([]),
        }),
      );
      expect(output.ours('warn')).toEqual([
        expect.stringContaining('"own" keeps out only the callers of this process'),
      ]);
      await start(LockModule.forRoot());
      expect(output.ours('warn')).toEqual([expect.stringContaining('redisLock')]);
    } finally {
      process.env['NODE_ENV'] = before;
    }
  });

  it('chooses the strategy by the method, by the resource, else the default', async () => {
    @Injectable()
    class Orders {
      @DistributedLock('order:<0>')
      async byResource(_id: number): Promise<void> {}

      @DistributedLock('audit', { strategy: 'named' })
      async byName(): Promise<void> {}
    }
    const log: string[] = [];
    const strategies = { named: recording(log), claims: recording(log, ['order']) };
    const app = await start(
      LockModule.forRoot({ strategy: recording(log), strategies }),
      providing(Stock, Orders),
    );
    log.length = 0;
    await app.get(Orders).byResource(1);
    await app.get(Orders).byName();
    await app.get(Stock).decrease(1);
    expect(log).toEqual(['claims order:1', 'named audit', 'default stock:1']);
  });

  it('builds and connects each strategy once, drains before it closes', async () => {
    const log: string[] = [];
    const app = await start(LockModule.forRoot({ strategy: recording(log) }), providing(Stock));
    await app.get(Stock).decrease(1);
    await app.close();
    expect(log).toEqual(['default connect', 'default stock:1', 'default drain', 'default close']);
  });

  it('sends those away who wait when the application closes, and lets those finish who hold a lock', async () => {
    const app = await start(LockModule.forRoot());
    const locks = app.get(LockService);
    const lease = await locks.acquire('stock:1');
    const waiting = locks.acquire('stock:1');
    const refused = expect(waiting).rejects.toThrow(LockShutdownError);
    const closing = app.close();
    await refused;
    await lease.release();
    await closing;
    await expect(locks.acquire('stock:1')).rejects.toThrow(LockShutdownError);
  });

  it('takes a strategy provider of the user’s own in place of ours', async () => {
    @Injectable()
    class ByTenant extends LockStrategyProvider {
      override select(key: string): string {
        return key.endsWith(':vip') ? 'vip' : super.select(key);
      }
    }
    const log: string[] = [];
    const app = await start(
      LockModule.forRoot({
        strategy: recording(log),
        strategies: { vip: recording(log) },
        extraProviders: [{ provide: LockStrategyProvider, useClass: ByTenant }],
      }),
    );
    log.length = 0;
    await app.get(LockService).run(['stock:1', 'stock:vip'], async () => undefined);
    expect(log).toEqual(['default stock:1', 'vip stock:vip']);
    expect(app.get(LockStrategyProvider)).toBeInstanceOf(ByTenant);
  });

  it('is seen only where it is imported with isGlobal: false', async () => {
    const local = LockModule.forRoot({ isGlobal: false });
    await expect(start(local, providing(Stock))).rejects.toThrow('add LockModule.forRoot()');
    const app = await start({ ...providing(Stock), imports: [local] });
    await expect(app.get(Stock).decrease(1)).resolves.toEqual(['stock:1', 1]);
  });

  it('runs methods in the transactions that it is given', async () => {
    const log: string[] = [];
    class Transactions extends LockTransactions {
      override async run<T>({ dataSource }: TransactionRequest, work: () => Promise<T>): Promise<T> {
        log.push(`begin ${dataSource ?? 'default'}`);
        return work().finally(() => log.push('end'));
      }
      override isActive(): boolean {
        return false;
      }
    }
    @Injectable()
    class Orders {
      @DistributedLock('order', { transaction: 'orders' })
      async place(): Promise<void> {
        log.push('place');
      }
    }
    const app = await start(
      LockModule.forRoot({ transactions: () => new Transactions() }),
      providing(Orders),
    );
    await app.get(Orders).place();
    expect(log).toEqual(['begin orders', 'place', 'end']);
  });
});

describe('LockModule.forRootAsync', () => {
  class Options implements LockModuleOptionsFactory {
    static log: string[] = [];
    async createLockOptions(): Promise<LockModuleOptions> {
      return { strategy: recording(Options.log) };
    }
  }
  const configuration: DynamicModule = {
    module: class Configuration {},
    providers: [Options],
    exports: [Options],
  };

  it.each([
    ['useFactory', LockModule.forRootAsync({ useFactory: () => new Options().createLockOptions() })],
    [
      'useFactory with inject',
      LockModule.forRootAsync({
        imports: [configuration],
        inject: [Options],
        useFactory: (options: Options) => options.createLockOptions(),
      }),
    ],
    ['useClass', LockModule.forRootAsync({ useClass: Options })],
    ['useExisting', LockModule.forRootAsync({ imports: [configuration], useExisting: Options })],
    [
      'useFactory with extraProviders',
      LockModule.forRootAsync({
        extraProviders: [Options],
        inject: [Options],
        useFactory: (options: Options) => options.createLockOptions(),
      }),
    ],
  ])('takes %s', async (_how, lockModule) => {
    Options.log = [];
    const app = await start(lockModule, providing(Stock));
    await expect(app.get(Stock).decrease(1)).resolves.toEqual(['stock:1', 1]);
    expect(Options.log).toEqual(['default connect', 'default stock:1']);
  });

  it('locks the methods of what its own options are made from, once it is there', async () => {
    const lockModule = LockModule.forRootAsync({
      imports: [providing(Stock)],
      inject: [Stock],
      useFactory: (stock: Stock) => (expect(stock).toBeInstanceOf(Stock), {}),
    });
    const app = await start(lockModule);
    await expect(app.get(Stock).decrease(1)).resolves.toEqual(['stock:1', 1]);
  });

  it('says so when its options wait for a lock', async () => {
    @Injectable()
    class Settings {
      @DistributedLock('settings', { waitTime: 50 })
      async read(): Promise<LockModuleOptions> {
        return {};
      }
    }
    const lockModule = LockModule.forRootAsync({
      imports: [providing(Settings)],
      inject: [Settings],
      useFactory: (settings: Settings) => settings.read(),
    });
    const failure = start(lockModule);
    await expect(failure).rejects.toThrow(LockConfigurationError);
    await expect(failure).rejects.toThrow(
      /Settings\.read .* were not there after 50 ms.*Do the options wait for this very call/,
    );
  });

  it('makes a call wait that comes before its options', async () => {
    const calls: Promise<unknown>[] = [];
    @Injectable()
    class Early {
      constructor() {
        // Its host is injected after the constructor.
        queueMicrotask(() => setImmediate(() => calls.push(this.work())));
      }
      @DistributedLock('early', { waitTime: Infinity })
      async work(): Promise<unknown> {
        return currentLease()?.key;
      }
    }
    const lockModule = LockModule.forRootAsync({
      useFactory: async () => {
        await eventually('the early call', 5_000, () => calls.length > 0);
        return {};
      },
    });
    await start(lockModule, providing(Early));
    await expect(within('the early call', 5_000, Promise.all(calls))).resolves.toEqual(['early']);
  });

  it('locks calls in onModuleInit of others', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Starter implements OnModuleInit {
      @DistributedLock('starter')
      async onModuleInit(): Promise<void> {
        seen.push(currentLease()?.key);
      }
    }
    await start(providing(Starter), LockModule.forRootAsync({ useFactory: async () => ({}) }));
    expect(seen).toEqual(['starter']);
  });
});

describe('an application that can not lock', () => {
  const refusal = (...imports: (DynamicModule | Type)[]) => expect(start(...imports)).rejects;

  it.each<[string, unknown, string]>([
    ['an unknown option', { waitTime: 5 }, 'there is no option "waitTime". There are strategy,'],
    [
      'an instance for a factory',
      { strategy: new RecordingStrategy([], 'x') },
      'strategy must be what memoryLock()',
    ],
    [
      'an instance among factories',
      { strategy: memoryLock(), strategies: { a: {} } },
      'strategies.a must be',
    ],
    [
      'nothing among factories',
      { strategy: memoryLock(), strategies: { a: undefined } },
      'strategies.a must be',
    ],
    ['transactions that are none', { transactions: true }, 'transactions must be'],
    ['no default', { strategies: { a: memoryLock() } }, 'but no strategy is the default. Set strategy'],
    ['two defaults', { strategy: memoryLock(), strategies: { default: memoryLock() } }, 'are the same place'],
    ['a wrong default', { defaults: { ttl: -1 } }, 'LockModule.forRoot({ defaults }): ttl must be'],
    [
      'transactions by default that nothing can begin',
      { defaults: { transaction: true } },
      'Add transactions:',
    ],
    ['a default that is for methods only', { defaults: { whenBusy: 'skip' } }, "whenBusy can't be a default"],
    ['no options at all', null, 'the options must be an object, got null'],
  ])('does not start with %s', async (_what, options, message) => {
    await refusal(LockModule.forRootAsync({ useFactory: () => options as LockModuleOptions })).toThrow(
      message,
    );
    await refusal(LockModule.forRootAsync({ useFactory: () => options as LockModuleOptions })).toThrow(
      LockConfigurationError,
    );
  });

  it('takes a default by its name', async () => {
    const log: string[] = [];
    await start(LockModule.forRoot({ strategies: { default: recording(log) } }));
    expect(log).toEqual(['default connect']);
  });

  it('does not start with two LockModules', async () => {
    await refusal(LockModule.forRoot(), LockModule.forRoot({ defaults: { ttl: 5_000 } })).toThrow(
      'LockModule is configured 2 times in this application',
    );
  });

  it('does not start with the bare LockModule, and says what to import', async () => {
    await refusal(LockModule).toThrow('import LockModule.forRoot() instead of LockModule');
  });

  it('does not start when a strategy needs what nobody provides', async () => {
    const strategy: LockStrategyFactory = (nest) => nest.get('DataSource');
    await refusal(LockModule.forRoot({ strategy })).toThrow(
      'needs DataSource, which no module of the application provides',
    );
  });

  it('closes what it opened when it can not start', async () => {
    const log: string[] = [];
    const broken: LockStrategyFactory = () =>
      Object.assign(new RecordingStrategy(log, 'broken'), {
        connect: () => Promise.reject(new LockConfigurationError('can never work')),
      });
    await refusal(LockModule.forRoot({ strategy: broken, strategies: { fine: recording(log) } })).toThrow(
      'can never work',
    );
    expect(log).toEqual(['fine connect', 'broken close', 'fine close']);
  });

  it('does not start with a strategy that is not there', async () => {
    @Injectable()
    class Orders {
      @DistributedLock('order', { strategy: 'redis' })
      async place(): Promise<void> {}
    }
    await refusal(
      LockModule.forRoot({ strategies: { db: memoryLock() }, strategy: memoryLock() }),
      providing(Orders),
    ).toThrow(
      /Orders\.place asks for the strategy "redis", and LockModule has "default", "db".*strategies: { redis: … }/,
    );
  });

  it('does not start when an interceptor asks for a strategy that is not there', async () => {
    const interceptor = DistributedLockInterceptor.of(() => 'cart', { strategy: 'redis' });
    await refusal(LockModule.forRoot(), providing(interceptor)).toThrow(
      'DistributedLockInterceptor.of asks for the strategy',
    );
  });

  it('does not start with a transaction that nothing can begin', async () => {
    @Injectable()
    class Orders {
      @DistributedLock('order', { transaction: true })
      async place(): Promise<void> {}
    }
    await refusal(LockModule.forRoot(), providing(Orders)).toThrow(
      /Orders\.place has transaction: true.*transactions: typeormTransactions\(\)/,
    );
  });

  it.each<[string, LockModuleOptions, MethodLockOptions, string]>([
    [
      'running without a lock',
      { defaults: { transaction: true }, transactions: () => ({}) as LockTransactions },
      { whenUnavailable: 'run' },
      "whenUnavailable: 'run' and transaction contradict each other",
    ],
    [
      'a lock that is kept longer than it may be held',
      { defaults: { holdAtMost: 100 } },
      { holdAtLeast: 5_000 },
      'holdAtLeast must not be above holdAtMost, which is 100, got 5000',
    ],
  ])('does not start with %s when the other half is a default', async (_what, options, own, message) => {
    @Injectable()
    class Orders {
      @DistributedLock('order', own)
      async place(): Promise<void> {}
    }
    await refusal(LockModule.forRoot(options), providing(Orders)).toThrow(
      `Orders.place, together with the defaults of LockModule: ${message}`,
    );
    const app = await start(LockModule.forRoot(options));
    const call = app.get(LockService).run('order', () => 'placed', own as LockRunOptions<string>);
    await expect(call).rejects.toThrow(`LockService.run: ${message}`);
  });

  it('does not start when two strategies lock one resource', async () => {
    @Injectable()
    class Orders {
      @DistributedLock('stock:<0>', { strategy: 'other' })
      async place(_id: number): Promise<void> {}
    }
    await refusal(
      LockModule.forRoot({ strategy: memoryLock(), strategies: { other: memoryLock() } }),
      providing(Stock, Orders),
    ).toThrow(
      /"stock" is locked by two strategies.*"default" in Stock\.decrease and "other" in Orders\.place/,
    );
  });
});

describe('warnings at the start', () => {
  it('name both methods when an override loses the lock', async () => {
    class Base {
      @DistributedLock('base')
      async lost(): Promise<void> {}
      @DistributedLock('base')
      async kept(): Promise<void> {}
      @DistributedLock('base')
      async callsParent(): Promise<void> {}
      @DistributedLock('base')
      async inherited(): Promise<void> {}
    }
    class Middle extends Base {
      override async lost(): Promise<void> {}
    }
    @Injectable()
    class Special extends Middle {
      @DistributedLock('base')
      override async kept(): Promise<void> {}
      override async callsParent(): Promise<void> {
        return super.callsParent();
      }
    }
    await start(LockModule.forRoot(), providing(Special));
    expect(output.ours('warn')).toEqual([
      'Middle.lost overrides Base.lost, which is locked, and has no lock of its own: it runs without one. ' +
        'Decorate it as well, or call super from it.',
    ]);
  });

  it('name leases that a short pause would lose', async () => {
    @Injectable()
    class Hasty {
      @DistributedLock('hasty', { ttl: 500 })
      async work(): Promise<void> {}
    }
    await start(LockModule.forRoot({ defaults: { ttl: 999 } }), providing(Hasty, Stock));
    expect(output.ours('warn')).toEqual([
      expect.stringContaining('LockModule.forRoot({ defaults }) has a ttl of 999 ms'),
      expect.stringContaining('Hasty.work has a ttl of 500 ms'),
    ]);
  });
});
