import { Module, type DynamicModule } from '@nestjs/common';
import { strategyFactories, type LockModuleOptions } from '../lock-module-options.js';
import { LockModule, OPTIONS } from '../lock.module.js';
import { LockStrategies } from '../locking/lock-strategies.js';
import type { LockStrategy, StrategyContext } from '../locking/lock-strategy.js';
import { LockTransactions, type TransactionRequest } from '../locking/lock-transactions.js';
import { TestLocks } from './test-locks.js';

/** What {@link LockTestingModule.forTest} is given. */
export interface LockTestingOptions extends Omit<LockModuleOptions, 'strategy' | 'strategies'> {
  /** The names that methods ask for with their `strategy` option; all of them are the same {@link TestLocks}. */
  readonly strategies?: readonly string[];
}

/**
 * `LockModule` for tests of a part of an application: everything is real but the store, which is a {@link TestLocks}.
 * It is not `LockModule.forTest()`, so that nothing of it is loaded where the application runs.
 *
 * @example
 * ```ts
 * const app = await Test.createTestingModule({
 *   imports: [LockTestingModule.forTest()],
 *   providers: [StockService],
 * }).compile();
 * app.get(TestLocks).beBusy('stock:1');
 * ```
 *
 * @publicApi
 */
@Module({})
export class LockTestingModule {
  /** Methods with `transaction: true` run without a transaction unless `transactions` is given. */
  static forTest({ strategies = [], ...options }: LockTestingOptions = {}): DynamicModule {
    const strategy = (nest: StrategyContext): LockStrategy => nest.get<TestLocks>(TestLocks).strategy;
    return {
      module: LockTestingModule,
      imports: [
        LockModule.forRoot({
          transactions: () => new NoTransactions(),
          ...options,
          strategy,
          strategies: Object.fromEntries(strategies.map((name) => [name, strategy])),
        }),
      ],
      // One for each application that is made of this module.
      providers: [{ provide: TestLocks, useFactory: () => new TestLocks() }],
      exports: [TestLocks],
    };
  }
}

/** What {@link replaceLocks} needs of `Test.createTestingModule(…)`. */
export interface ReplacesProviders {
  overrideProvider(token: unknown): {
    useFactory(options: { factory: (...args: never[]) => unknown; inject: unknown[] }): unknown;
  };
}

/**
 * Puts a {@link TestLocks} in the place of every strategy that a whole application configures, before it is compiled:
 * no Redis, no table of locks. Its `transactions` stay as they are.
 *
 * @example
 * ```ts
 * const builder = Test.createTestingModule({ imports: [AppModule] });
 * const locks = replaceLocks(builder);
 * const app = await builder.compile();
 * ```
 *
 * @publicApi
 */
export function replaceLocks(builder: ReplacesProviders): TestLocks {
  const locks = new TestLocks();
  const factory = (options: LockModuleOptions): LockStrategies => {
    const names = Object.keys(strategyFactories(options));
    return new LockStrategies({
      factories: Object.fromEntries(names.map((name) => [name, () => locks.strategy])),
      resolve: () => undefined as never,
    });
  };
  builder.overrideProvider(LockStrategies).useFactory({ factory, inject: [OPTIONS] });
  return locks;
}

class NoTransactions extends LockTransactions {
  override run<T>(_request: TransactionRequest, work: () => Promise<T>): Promise<T> {
    return work();
  }

  override isActive(): boolean {
    return false;
  }
}
