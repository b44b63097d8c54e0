import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { LockModule } from '../lock.module.js';
import { LockService } from '../locking/lock.service.js';
import { DistributedLock } from '../method/distributed-lock.decorator.js';
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
}

/** A small Nest application whose only strategy is the one under test. */
export interface ContractApplication {
  readonly locks: LockService;
  readonly methods: LockedMethods;
  close(): Promise<void>;
}

export async function openApplication(recipe: StrategyRecipe): Promise<ContractApplication> {
  const setup = await prepare(recipe);

  @Module({
    imports: [
      LockModule.forRoot({
        strategy: (nest) =>
          setup.factory({
            strategy: nest.strategy,
            get: <T>(token: unknown) =>
              setup.get === undefined ? nest.get<T>(token) : (setup.get(token) as T),
          }),
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
    close: async () => {
      await application.close();
      await setup.dispose?.();
    },
  };
}
