import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { Contestant, ContestantOptions } from './contestant';

/** `murlock`, blocking, with the pause that its documentation shows (1000 ms is for tries: here 100 ms). No renewal. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { MurLockModule, MurLockService } = await import('murlock');
  const module = MurLockModule.forRoot({
    redisOptions: { url },
    wait: 100,
    maxAttempts: 1,
    blocking: true,
    logLevel: 'none',
    ignoreUnlockFail: true,
  });
  const application = await NestFactory.createApplicationContext(module, {
    logger: false,
    abortOnError: false,
  });
  const service = application.get(MurLockService);
  return {
    run: (name, work) => service.runWithLock(name, ttl, work),
    close: () => application.close(),
  };
}
