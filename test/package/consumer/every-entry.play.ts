import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Redis } from 'ioredis';
import {
  DistributedLock,
  LockModule,
  LockService,
  LockStrategies,
  memoryLock,
} from 'nestjs-distributed-lock';
import { openTelemetry } from 'nestjs-distributed-lock/opentelemetry';
import { redisLock } from 'nestjs-distributed-lock/redis';
import { quorumLock } from 'nestjs-distributed-lock/redlock';
import { LockHealthIndicator } from 'nestjs-distributed-lock/terminus';
import { CONTRACT_CASES, describeLockStrategy, withoutLocks } from 'nestjs-distributed-lock/testing';
import {
  CreateDistributedLock1767225600000,
  currentEntityManager,
  typeormLock,
  typeormTransactions,
} from 'nestjs-distributed-lock/typeorm';
import { DataSource } from 'typeorm';

const redisUrl = process.env.REDIS_URL ?? '';

@Injectable()
class Books {
  constructor(
    @Inject(DataSource) readonly database: DataSource,
    @Inject(LockHealthIndicator) readonly health: LockHealthIndicator,
  ) {}

  @DistributedLock('account:<id>', { transaction: true })
  async post(id: string): Promise<boolean> {
    return id !== '' && currentEntityManager()?.queryRunner?.isTransactionActive === true;
  }

  @DistributedLock('quorum:<id>', { strategy: 'quorum' })
  async count(id: string): Promise<string> {
    return id;
  }

  @DistributedLock('local:<id>', { strategy: 'local', whenBusy: 'skip' })
  async tidy(id: string): Promise<string | undefined> {
    return id;
  }
}

@Module({
  imports: [
    TerminusModule,
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: process.env.POSTGRES_URL,
      migrations: [CreateDistributedLock1767225600000],
      migrationsRun: true,
      retryAttempts: 0,
    }),
    LockModule.forRootAsync({
      useFactory: () => ({
        strategy: redisLock({
          client: new Redis(redisUrl, { lazyConnect: true }),
          prefix: process.env.LOCK_PREFIX,
        }),
        strategies: {
          local: memoryLock(),
          rows: typeormLock(),
          quorum: quorumLock({ nodes: (process.env.QUORUM_URLS ?? '').split(',') }),
        },
        transactions: typeormTransactions(),
        instrumentation: openTelemetry(),
      }),
    }),
  ],
  providers: [Books, LockHealthIndicator],
})
class BooksModule {}

/** An application that uses every entry of the package. */
export async function play(): Promise<void> {
  const application = await NestFactory.createApplicationContext(BooksModule, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  try {
    const books = application.get(Books);
    assert.equal(await books.post('7'), true, 'a transaction is open inside of the lock');
    assert.equal(await books.count('7'), '7');
    assert.equal(await books.tidy('7'), '7');
    const locks = application.get(LockService);
    const lease = await locks.acquire('account:8');
    assert.equal(await locks.tryAcquire('account:8'), null);
    await lease.release();
    const health = await books.health.isHealthy('locks');
    assert.equal(health.locks.status, 'up', JSON.stringify(health));
    assert.deepEqual([...application.get(LockStrategies).names].sort(), [
      'default',
      'local',
      'quorum',
      'rows',
    ]);
    assert.ok(CONTRACT_CASES.length > 10 && typeof describeLockStrategy === 'function');
    assert.equal(await withoutLocks(books).count('8'), '8');
    if (process.env.JEST_WORKER_ID === undefined) hasOneCopyOfEachClass();
  } finally {
    await application.close();
  }
}

/** Whoever imports and whoever requires the package gets the same classes, or `instanceof` would fail between them. */
function hasOneCopyOfEachClass(): void {
  const required = createRequire(join(process.cwd(), 'here.js'))('nestjs-distributed-lock') as object;
  assert.ok('LockModule' in required && required.LockModule === LockModule, 'import and require differ');
}
