import {
  Inject,
  Logger,
  Module,
  type BeforeApplicationShutdown,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { LOCK_HTTP_OPTIONS } from './http/lock-http-answers.js';
import { checkModuleOptions, strategyFactories, type LockModuleOptions } from './lock-module-options.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './lock.module-definition.js';
import { LockConfigurationError } from './locking/lock-error.js';
import { LockEvents } from './locking/lock-events.js';
import { LockExecutor } from './locking/lock-executor.js';
import { LockOrderCheck } from './locking/lock-order.js';
import { LockStrategies } from './locking/lock-strategies.js';
import type { StrategyContext } from './locking/lock-strategy.js';
import { LockStrategyProvider } from './locking/lock-strategy.provider.js';
import { LockTransactions } from './locking/lock-transactions.js';
import { LockService } from './locking/lock.service.js';
import { checkLockedMethods } from './method/locked-method-checks.js';
import { LOCK_HOST, LockHost } from './method/lock-host.js';
import { LazyTransactions } from './locking/lazy-transactions.js';

/** The options once they were checked. */
export const OPTIONS = Symbol.for('nestjs-distributed-lock:options');

/** `LockTransactions` where `forRoot` has them, else undefined. */
const TRANSACTIONS = Symbol.for('nestjs-distributed-lock:transactions');

type Get = StrategyContext['get'];

/** What a strategy or the transactions may ask the application for. */
const INSTANCES = Symbol.for('nestjs-distributed-lock:instances');

const PROVIDERS: Provider[] = [
  { provide: OPTIONS, useFactory: checkModuleOptions, inject: [MODULE_OPTIONS_TOKEN] },
  { provide: LOCK_HOST, useClass: LockHost },
  { provide: LockEvents, useClass: LockEvents },
  { provide: INSTANCES, useFactory: instancesOf, inject: [ModuleRef] },
  {
    provide: LockStrategies,
    useFactory: (options: LockModuleOptions, resolve: Get) =>
      new LockStrategies({ factories: strategyFactories(options), resolve }),
    inject: [OPTIONS, INSTANCES],
  },
  {
    provide: LOCK_HTTP_OPTIONS,
    useFactory: ({ http }: LockModuleOptions) => http,
    inject: [OPTIONS],
  },
  { provide: LockStrategyProvider, useClass: LockStrategyProvider },
  {
    provide: TRANSACTIONS,
    useFactory: ({ transactions }: LockModuleOptions, get: Get) =>
      transactions && new LazyTransactions(() => transactions({ strategy: 'transactions', get })),
    inject: [OPTIONS, INSTANCES],
  },
  {
    provide: LockExecutor,
    useFactory: (
      strategies: LockStrategies,
      provider: LockStrategyProvider,
      events: LockEvents,
      { defaults, instrumentation }: LockModuleOptions,
      transactions: LockTransactions | undefined,
    ) => {
      const order = isProduction() ? undefined : new LockOrderCheck();
      return new LockExecutor({
        strategies,
        provider,
        events,
        defaults,
        transactions,
        instrumentation,
        order,
      });
    },
    inject: [LockStrategies, LockStrategyProvider, LockEvents, OPTIONS, TRANSACTIONS],
  },
  {
    provide: LockService,
    useFactory: (executor: LockExecutor, strategies: LockStrategies, provider: LockStrategyProvider) =>
      new LockService({ executor, strategies, provider }),
    inject: [LockExecutor, LockStrategies, LockStrategyProvider],
  },
];

/**
 * Locks for one application: `LockModule.forRoot({ strategy: redisLock({ … }) })` in the imports of the root module.
 * It is global unless `isGlobal` is false.
 *
 * @publicApi
 */
@Module({
  providers: PROVIDERS,
  exports: [LOCK_HOST, LOCK_HTTP_OPTIONS, LockEvents, LockService, LockStrategies, LockStrategyProvider],
})
export class LockModule
  extends ConfigurableModuleClass
  implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown
{
  private readonly logger = new Logger('DistributedLock');

  constructor(
    @Inject(OPTIONS) private readonly options: LockModuleOptions,
    @Inject(LOCK_HOST) private readonly host: LockHost,
    @Inject(LockExecutor) executor: LockExecutor,
    @Inject(LockStrategies) private readonly strategies: LockStrategies,
    @Inject(LockStrategyProvider) private readonly provider: LockStrategyProvider,
    @Inject(TRANSACTIONS) private readonly transactions: LazyTransactions | undefined,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
  ) {
    super();
    refuseSecondModule(modules);
    host.bind(executor);
  }

  /**
   * Configures the locks of the application.
   *
   * @throws {LockConfigurationError} when the application starts and the options can't work.
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /** {@link LockModule.forRoot} with options that other providers make: `useFactory`, `useClass` or `useExisting`. */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }

  async onModuleInit(): Promise<void> {
    const { modules, host, strategies, provider, options } = this;
    try {
      const warnings = checkLockedMethods({ modules, host, strategies, provider, options });
      this.transactions?.build();
      await strategies.connect();
      this.logger.log(this.summary());
      for (const warning of [...this.scopeWarnings(), ...warnings]) this.logger.warn(warning);
    } catch (error) {
      // Nest calls no shutdown hook of an application that could not start.
      await strategies.close().catch(() => undefined);
      throw error;
    }
  }

  /** Before the HTTP server is closed: those who wait are sent away, those who hold a lock may finish. */
  beforeApplicationShutdown(): Promise<void> {
    return this.strategies.drain();
  }

  /** Last, for handlers that still run give their locks back until then. */
  onApplicationShutdown(): Promise<void> {
    return this.strategies.close();
  }

  private summary(): string {
    const strategies = this.strategies.names.map((name) => {
      const strategy = this.strategies.get(name);
      const { scope, order, fencing } = strategy.traits;
      const facts = [
        scope === 'shared' ? 'for all servers' : 'for this process only',
        { strict: 'in strict order', process: 'in order within a process', none: 'in no order' }[order],
        fencing ? 'with fencing tokens' : 'without fencing tokens',
      ];
      return `${name} = ${strategy.constructor.name} (${facts.join(', ')})`;
    });
    return `Locks: ${strategies.join('; ')}; transactions: ${this.transactions === undefined ? 'none' : 'configured'}`;
  }

  private scopeWarnings(): readonly string[] {
    if (!isProduction()) return [];
    return this.strategies.names
      .filter((name) => this.strategies.get(name).traits.scope === 'process')
      .map(
        (name) =>
          `The lock strategy "${name}" keeps out only the callers of this process, and this is production: with a second ` +
          'server both work at once. Use redisLock, typeormLock or another shared strategy.',
      );
  }
}

/** Finds what a strategy needs, wherever the application provides it. */
function instancesOf(moduleRef: ModuleRef): Get {
  return <T>(token: unknown): T => {
    let instance: T | undefined;
    try {
      instance = moduleRef.get<T>(token as string, { strict: false });
    } catch (cause) {
      throw new LockConfigurationError(
        `A lock strategy needs ${nameOf(token)}, which no module of the application provides. Import the module that does.`,
        { cause },
      );
    }
    if (instance !== undefined && instance !== null) return instance;
    // What an async factory has not made yet. Nothing is remembered: the next call tries again.
    throw new LockConfigurationError(
      `A lock strategy needs ${nameOf(token)}, which is still being made. Call locked methods from onModuleInit at the earliest.`,
    );
  };
}

function isProduction(): boolean {
  return process.env['NODE_ENV'] === 'production';
}

function nameOf(token: unknown): string {
  return typeof token === 'function' ? token.name : String(token);
}

function refuseSecondModule(modules: ModulesContainer): void {
  const count = [...modules.values()].filter(({ metatype }) => metatype === LockModule).length;
  if (count < 2) return;
  throw new LockConfigurationError(
    `LockModule is configured ${count} times in this application, and locks of one do not keep out those of the other. ` +
      'Call forRoot once, in the root module; give it several strategies as strategies: { … }.',
  );
}
