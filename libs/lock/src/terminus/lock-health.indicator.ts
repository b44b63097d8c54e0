import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { LockBusyError } from '../locking/lock-error.js';
import { LockStrategies } from '../locking/lock-strategies.js';

/** How a lock is tried. */
export interface LockHealthOptions {
  /** The name of a strategy of `forRoot`; all of them unless given. */
  readonly strategy?: string;
  /**
   * Milliseconds within which the lock must answer.
   *
   * @defaultValue 1000
   */
  readonly timeout?: number;
}

/**
 * Says whether locks can be taken, by taking one: `health.check([() => lockHealth.isHealthy('locks')])`. The lock that
 * it takes is its own and nobody else's. Provide it beside `TerminusModule`.
 *
 * @publicApi
 */
@Injectable()
export class LockHealthIndicator {
  /** One name an application, so that checks leave no more than one trace in a store. */
  private readonly name = `health-check:${randomUUID()}`;

  constructor(
    @Inject(HealthIndicatorService) private readonly health: HealthIndicatorService,
    @Inject(LockStrategies) private readonly strategies: LockStrategies,
  ) {}

  /** Up with the time that each strategy took, down with the message of the one that failed. */
  async isHealthy<const Key extends string>(
    key: Key,
    { strategy, timeout = 1_000 }: LockHealthOptions = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const indicator = this.health.check(key);
    const names = strategy === undefined ? this.strategies.names : [strategy];
    const tried = await Promise.all(names.map((name) => this.tryLock(name, timeout)));
    const details = Object.fromEntries(names.map((name, place) => [name, tried[place] ?? '']));
    return tried.some((result) => result.startsWith(DOWN)) ? indicator.down(details) : indicator.up(details);
  }

  private async tryLock(name: string, timeout: number): Promise<string> {
    const startedAt = performance.now();
    try {
      const request = { name: this.name, waitTime: timeout, ttl: 10_000, holdAtLeast: 0 };
      const lease = await this.strategies.get(name).acquire(request);
      await lease.release();
    } catch (error) {
      // Another check of this application is at it: the store answers.
      if (!(error instanceof LockBusyError))
        return `${DOWN}: ${error instanceof Error ? error.message : String(error)}`;
    }
    return `answered in ${Math.round(performance.now() - startedAt)} ms`;
  }
}

const DOWN = 'down';
