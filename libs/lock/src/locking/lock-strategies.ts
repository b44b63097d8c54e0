import { LockConfigurationError } from './lock-error.js';
import type { LockStrategy, LockStrategyFactory } from './lock-strategy.js';

/** The name of the strategy that `forRoot({ strategy })` configures. */
export const DEFAULT_STRATEGY = 'default';

/** What the strategies of one application are built from. */
export interface LockStrategiesOptions {
  readonly factories: Readonly<Record<string, LockStrategyFactory>>;
  /** Finds an instance of the application's by its injection token. */
  readonly resolve: <T>(token: unknown) => T;
}

/** The strategies of one application: each built at its first use, once. */
export class LockStrategies {
  private readonly built = new Map<string, LockStrategy>();

  constructor(private readonly options: LockStrategiesOptions) {}

  get names(): readonly string[] {
    return Object.keys(this.options.factories);
  }

  /** @throws {LockConfigurationError} there is no strategy of that name. */
  get(name: string): LockStrategy {
    const existing = this.built.get(name);
    if (existing !== undefined) return existing;
    const strategy = this.build(name);
    this.built.set(name, strategy);
    return strategy;
  }

  /** Builds and connects all of them. */
  async connect(): Promise<void> {
    await Promise.all(this.names.map(async (name) => this.get(name).connect?.()));
  }

  /** Lets nobody in any more and waits for those inside. */
  async drain(): Promise<void> {
    await settleAll([...this.built.values()].map(async (strategy) => strategy.drain?.()));
  }

  async close(): Promise<void> {
    await settleAll([...this.built.values()].map(async (strategy) => strategy.close?.()));
  }

  private build(name: string): LockStrategy {
    const { factories, resolve } = this.options;
    const factory = Object.hasOwn(factories, name) ? factories[name] : undefined;
    if (factory !== undefined) return factory({ strategy: name, get: resolve });
    throw new LockConfigurationError(
      `There is no lock strategy "${name}". LockModule knows ${this.names.map((known) => `"${known}"`).join(', ')}: ` +
        `use one of them, or add "${name}" to the strategies of LockModule.forRoot.`,
      { strategy: name },
    );
  }
}

/** Waits for all of them, also when one fails, and fails then: an end must not leave the others open. */
async function settleAll(endings: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(endings)).find((ending) => ending.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
