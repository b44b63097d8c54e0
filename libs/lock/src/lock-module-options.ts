import { checkHttpOptions, type LockHttpOptions } from './http/lock-http-answers.js';
import { checkKnownOptions, type OptionNames } from './locking/known-options.js';
import { checkLockDefaults, type LockDefaults } from './locking/lock-call-options.js';
import { LockConfigurationError } from './locking/lock-error.js';
import type { LockInstrumentation } from './locking/lock-instrumentation.js';
import { DEFAULT_STRATEGY } from './locking/lock-strategies.js';
import type { LockStrategyFactory } from './locking/lock-strategy.js';
import type { LockTransactionsFactory } from './locking/lock-transactions.js';
import { memoryLock } from './strategies/memory/index.js';

/**
 * What `LockModule.forRoot` is given.
 *
 * @publicApi
 */
export interface LockModuleOptions {
  /**
   * The strategy that locks unless another one is asked for.
   *
   * @defaultValue `memoryLock()`, which keeps out only the callers of this process
   */
  readonly strategy?: LockStrategyFactory;
  /**
   * More strategies by name. A method asks for one with its `strategy` option, or a strategy claims the first segments
   * of keys with its own `resources` option.
   */
  readonly strategies?: Readonly<Record<string, LockStrategyFactory>>;
  /** What runs the methods with `transaction: true`, for example `typeormTransactions()`. */
  readonly transactions?: LockTransactionsFactory;
  /** What traces and measures every lock, for example `openTelemetry()`. */
  readonly instrumentation?: LockInstrumentation;
  /** What every lock of the application is asked for with, unless its method says otherwise. */
  readonly defaults?: LockDefaults;
  /** How the interceptor and the exception filter answer the errors of locks. */
  readonly http?: LockHttpOptions;
}

/**
 * Makes the options for `LockModule.forRootAsync({ useClass })` or `useExisting`.
 *
 * @publicApi
 */
export interface LockModuleOptionsFactory {
  createLockOptions(): LockModuleOptions | Promise<LockModuleOptions>;
}

const OPTIONS: OptionNames<LockModuleOptions> = {
  strategy: true,
  strategies: true,
  transactions: true,
  defaults: true,
  instrumentation: true,
  http: true,
};
const WHERE = 'LockModule.forRoot';

/**
 * The options, when they can work.
 *
 * @throws {LockConfigurationError} an option is unknown or has a value that can't work.
 */
export function checkModuleOptions(options: LockModuleOptions): LockModuleOptions {
  if (typeof options !== 'object' || options === null) {
    throw new LockConfigurationError(
      `${WHERE}: the options must be an object, got ${String(options)}. Does the factory of forRootAsync return them?`,
    );
  }
  checkKnownOptions(WHERE, options, OPTIONS, 'waitTime, ttl and their like belong into defaults');
  checkFactory(options.strategy, 'strategy');
  checkFactory(options.transactions, 'transactions');
  const { strategies = {}, defaults, http } = options;
  for (const [name, factory] of Object.entries(strategies)) {
    checkFactory(factory, `strategies.${name}`);
    if (factory === undefined) throw notAFactory(factory, `strategies.${name}`);
  }
  checkDefaultStrategy(options);
  if (http !== undefined) checkHttpOptions(http, `${WHERE}({ http })`);
  if (defaults !== undefined) checkLockDefaults(defaults, `${WHERE}({ defaults })`);
  if (defaults?.transaction && options.transactions === undefined) {
    throw new LockConfigurationError(
      `${WHERE}({ defaults }): transaction needs something that begins transactions. ` +
        "Add transactions: typeormTransactions(), from 'nestjs-distributed-lock/typeorm', beside the defaults.",
    );
  }
  return options;
}

/** The strategies by name, checked options given. */
export function strategyFactories(options: LockModuleOptions): Readonly<Record<string, LockStrategyFactory>> {
  const { strategy, strategies = {} } = options;
  if (Object.hasOwn(strategies, DEFAULT_STRATEGY)) return strategies;
  return { [DEFAULT_STRATEGY]: strategy ?? memoryLock(), ...strategies };
}

function checkDefaultStrategy({ strategy, strategies = {} }: LockModuleOptions): void {
  const named = Object.hasOwn(strategies, DEFAULT_STRATEGY);
  if (named && strategy !== undefined) {
    throw new LockConfigurationError(
      `${WHERE}: strategy and strategies.${DEFAULT_STRATEGY} are the same place. Give one of them.`,
    );
  }
  if (named || strategy !== undefined || Object.keys(strategies).length === 0) return;
  // memoryLock() beside a strategy for several servers would be a surprise, and a silent one.
  throw new LockConfigurationError(
    `${WHERE}: strategies has ${Object.keys(strategies).join(', ')}, but no strategy is the default. ` +
      'Set strategy, for example strategy: memoryLock(), to say what locks the keys that none of them claims.',
  );
}

function checkFactory(factory: unknown, name: string): void {
  if (factory !== undefined && typeof factory !== 'function') throw notAFactory(factory, name);
}

function notAFactory(got: unknown, name: string): LockConfigurationError {
  return new LockConfigurationError(
    `${WHERE}: ${name} must be what memoryLock(), redisLock({ … }) and their like return, a function, but got ` +
      `${typeof got === 'object' && got !== null ? 'an object' : String(got)}. ` +
      'A strategy of your own is given as () => new MyStrategy().',
  );
}
