import { Inject, Injectable } from '@nestjs/common';
import { LockConfigurationError } from './lock-error.js';
import { resourceOf } from './lock-name.js';
import { DEFAULT_STRATEGY, LockStrategies } from './lock-strategies.js';

/**
 * Says which strategy locks a resource: the one that the method names, else the one whose `resources` hold the key's
 * first segment, else the default. Provide a subclass in its place to choose by rules of your own, but choose by the
 * key alone: two strategies for one key do not exclude each other.
 *
 * @publicApi
 */
@Injectable()
export class LockStrategyProvider {
  private byResource: ReadonlyMap<string, string> | undefined;

  constructor(@Inject(LockStrategies) protected readonly strategies: LockStrategies) {}

  /**
   * @param key - the resolved key, for example `stock:42`.
   * @param requested - the name that the method gives in its `strategy` option.
   * @returns the name of a strategy.
   */
  select(key: string, requested?: string): string {
    if (requested !== undefined) return requested;
    this.byResource ??= this.claims();
    return this.byResource.get(resourceOf(key)) ?? DEFAULT_STRATEGY;
  }

  private claims(): ReadonlyMap<string, string> {
    const claims = new Map<string, string>();
    for (const name of this.strategies.names) {
      for (const resource of this.strategies.get(name).resources ?? []) {
        const other = claims.get(resource);
        if (other !== undefined && other !== name) throw claimedTwice(resource, other, name);
        claims.set(resource, name);
      }
    }
    return claims;
  }
}

function claimedTwice(resource: string, first: string, second: string): LockConfigurationError {
  return new LockConfigurationError(
    `The strategies "${first}" and "${second}" both claim the resource "${resource}" in their resources option. ` +
      'Two strategies for one key do not exclude each other: leave it to one of them.',
  );
}
