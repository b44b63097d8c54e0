import type { LockStrategyFactory, LockTraits, StrategyContext } from '../locking/lock-strategy.js';

/** A strategy with what it needs beside itself. */
export interface StrategySetup {
  readonly factory: LockStrategyFactory;
  /** Answers for the application where the strategy asks it for an instance; refuses everything unless given. */
  readonly get?: (token: unknown) => unknown;
  /** Ends what was opened for the strategy, for example a data source. Called after the strategy was closed. */
  readonly dispose?: () => Promise<void>;
}

/** Makes a strategy: `() => redisLock({ url })`, or a {@link StrategySetup} where that is not enough. */
export type StrategyRecipe = () =>
  LockStrategyFactory | StrategySetup | Promise<LockStrategyFactory | StrategySetup>;

/** The file that is run in processes of their own: it calls `runContractWorker`. */
export interface WorkerFile {
  readonly file: string;
  /** Arguments for Node, for example `['--import', 'tsx']` for a file in TypeScript. */
  readonly execArgv?: readonly string[];
  /** Further environment variables, asked for when the first worker starts: addresses of servers, for example. */
  readonly env?: () => Readonly<Record<string, string>>;
}

/** What `describeLockStrategy` is told. */
export interface StrategyUnderTest {
  /** For the titles of the tests. */
  readonly name: string;
  /** What the strategy claims: says which cases apply, and must be what the strategy says itself. */
  readonly traits: LockTraits;
  readonly create: StrategyRecipe;
  /** A `shared` strategy is tried from several processes; a `process` strategy needs no worker. */
  readonly worker?: WorkerFile;
  /**
   * What the store still keeps of locks that nobody holds and nobody waits for, for the case that nothing is: names of
   * keys or rows. Without it only `inspect` is asked.
   */
  readonly leftovers?: () => Promise<readonly string[]>;
  /**
   * Milliseconds after which something that must happen is held not to happen: no measure of speed, only of patience.
   *
   * @defaultValue 15000
   */
  readonly patience?: number;
  /**
   * The `ttl` of leases that are to lapse, in milliseconds. Shorter: the suite is faster. Longer: a machine under load
   * still renews in time.
   *
   * @defaultValue 1200
   */
  readonly lease?: number;
}

/** What a {@link StrategyRecipe} made, in one form. */
export async function prepare(recipe: StrategyRecipe): Promise<StrategySetup> {
  const made = await recipe();
  return typeof made === 'function' ? { factory: made } : made;
}

/** What the strategy is told about its application, where there is none. */
export function contextOf(setup: StrategySetup, strategy: string): StrategyContext {
  return {
    strategy,
    get: <T>(token: unknown): T => {
      if (setup.get === undefined)
        throw new Error(`There is no ${String(token)} here: give the setup a get(token).`);
      return setup.get(token) as T;
    },
  };
}
