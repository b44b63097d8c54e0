import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LockModule } from '../lock.module.js';
import { currentLease } from '../locking/lock-context.js';
import { LockTransactions, type TransactionRequest } from '../locking/lock-transactions.js';
import { LockService } from '../locking/lock.service.js';
import { DistributedLock } from '../method/distributed-lock.decorator.js';
import { gate } from './gate.js';
import { prepare, type StrategyRecipe } from './strategy-under-test.js';

/** How long the callers of the application wait, in milliseconds. */
export const APPLICATION_WAIT = 200;

@Injectable()
class LockedMethods {
  @DistributedLock((name: string) => name, { waitTime: APPLICATION_WAIT })
  async waiting(_name: string): Promise<string> {
    return Promise.resolve('done');
  }

  @DistributedLock((name: string) => name, { waitTime: 0 })
  async trying(_name: string): Promise<string> {
    return Promise.resolve('done');
  }

  /** Calls itself so many times, and `other` in the end. Resolves to the token that each of the calls has. */
  @DistributedLock((name: string) => name, { waitTime: 0 })
  async recursion(name: string, depth: number): Promise<Tokens> {
    const inner = await (depth > 0 ? this.recursion(name, depth - 1) : this.other(name));
    return [currentLease(name)?.token, ...inner];
  }

  @DistributedLock((name: string) => name, { waitTime: 0 })
  async other(name: string): Promise<Tokens> {
    return Promise.resolve([currentLease(name)?.token]);
  }
}

/** The tokens of several calls; each undefined where the strategy has none. */
type Tokens = readonly (number | undefined)[];

/** A commit that a case holds back. */
interface HeldCommit {
  /** Resolves when the work is done, and only the commit is missing. */
  readonly reached: Promise<void>;
  readonly goOn: () => void;
}

/** Transactions without a database, whose commit takes as long as a case wants. */
class ContractTransactions extends LockTransactions {
  private beforeCommit = (): Promise<void> => Promise.resolve();

  /** Stops the next transaction before its commit. */
  holdCommit(): HeldCommit {
    const [reached, mayGoOn] = [gate(), gate()];
    this.beforeCommit = () => {
      this.beforeCommit = () => Promise.resolve();
      reached.open();
      return mayGoOn.passed;
    };
    return { reached: reached.passed, goOn: mayGoOn.open };
  }

  override async run<T>({ signal }: TransactionRequest, work: () => Promise<T>): Promise<T> {
    const result = await work();
    await this.beforeCommit();
    signal.throwIfAborted();
    return result;
  }

  override isActive(): boolean {
    return false;
  }
}

/** A small Nest application whose only strategy is the one under test. */
export interface ContractApplication {
  readonly locks: LockService;
  readonly methods: LockedMethods;
  readonly transactions: ContractTransactions;
  close(): Promise<void>;
}

export async function openApplication(recipe: StrategyRecipe): Promise<ContractApplication> {
  const setup = await prepare(recipe);
  const transactions = new ContractTransactions();

  @Module({
    imports: [
      LockModule.forRoot({
        strategy: (nest) =>
          setup.factory({
            strategy: nest.strategy,
            get: <T>(token: unknown) =>
              setup.get === undefined ? nest.get<T>(token) : (setup.get(token) as T),
          }),
        transactions: () => transactions,
      }),
    ],
    providers: [LockedMethods],
  })
  class ContractModule {}

  const application = await NestFactory.createApplicationContext(ContractModule, {
    logger: ['error'],
    abortOnError: false,
  });
  return {
    locks: application.get(LockService),
    methods: application.get(LockedMethods),
    transactions,
    close: async () => {
      await application.close();
      await setup.dispose?.();
    },
  };
}
