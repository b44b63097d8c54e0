import type { RedisOptions } from 'ioredis';
import { checkKnownOptions, type OptionNames } from '../../locking/known-options.js';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { LockStrategyFactory, StrategyContext } from '../../locking/lock-strategy.js';
import {
  isRedisClient,
  sourceFromClient,
  sourceFromCluster,
  sourceFromOptions,
  sourceFromUrl,
  type RedisClient,
} from './connection-source.js';
import { RedisLockStrategy, type RedisPlace } from './redis-lock.strategy.js';

/** Where Redis is: exactly one of `url`, `options`, `client` and `token`. */
export interface RedisLockOptions {
  /** For example `redis://localhost:6379`, `rediss://user:password@host:6380/2`. */
  readonly url?: string;
  /** The options of an ioredis client, Sentinel's included. */
  readonly options?: RedisOptions;
  /**
   * A client of ioredis 5 or 6: `Redis` or `Cluster`. It is duplicated; the client itself is never used, subscribed,
   * changed or closed.
   */
  readonly client?: RedisClient;
  /** The injection token of such a client. */
  readonly token?: unknown;
  /**
   * What the names of our keys and channels begin with, behind the client's own `keyPrefix`. Everybody who shares a lock
   * needs the same one.
   *
   * @defaultValue 'lock:'
   */
  readonly prefix?: string;
  /**
   * How many further calls of one process may go ahead of other processes' before the lock is handed on. 0 keeps strict
   * first-in-first-out among all processes; more trades that order for throughput, tenfold and more on a hot lock, and
   * every process is still served in its turn.
   *
   * @defaultValue 0
   */
  readonly bypass?: number;
  /**
   * How many replicas must have a grant before its holder starts (`WAIT`). It lowers the odds that a fail-over gives the
   * same lock twice, and does not rule it out; it costs a round trip or two and the time of the replicas for each grant,
   * and calls fail with `LockUnavailableError` when so many replicas don't answer within 500 ms.
   *
   * @defaultValue 0
   */
  readonly replicas?: number;
  /**
   * When nobody gets a lock for one lease (`ttl`), because Redis may have started empty while somebody held it.
   * - `'seen'`: when this process saw Redis restart. A process that is started afterwards can't know, and may get a lock
   *   that its holder still believes to have, until that holder's next renewal.
   * - `'always'`: whenever Redis is younger than the lease. Closes that gap, and lets the first calls after every start of
   *   Redis wait, in tests and on a new server too.
   *
   * The lease is that of the call that asks, for Redis has forgotten the holder's: lock a key with the same `ttl`
   * everywhere, or a holder with a longer one, who is cut off for longer than the shorter one, is not waited for.
   *
   * @defaultValue 'seen'
   */
  readonly afterRestart?: 'seen' | 'always';
  /** First segments of the keys that this strategy locks, where several strategies stand side by side. */
  readonly resources?: readonly string[];
  /**
   * Milliseconds that the shut-down waits for those who hold a lock.
   *
   * @defaultValue 10000
   */
  readonly shutdownTimeout?: number;
}

const PLACES = ['url', 'options', 'client', 'token'] as const;

const OPTIONS: OptionNames<RedisLockOptions> = {
  url: true,
  options: true,
  client: true,
  token: true,
  prefix: true,
  bypass: true,
  replicas: true,
  afterRestart: true,
  resources: true,
  shutdownTimeout: true,
};

const MOST_BYPASSES = 10_000;
const MOST_REPLICAS = 100;

/**
 * A lock for any number of servers: first come, first served, handed from one holder to the next by a message.
 * Needs Redis 6 or later and the package `ioredis`.
 *
 * @throws {LockConfigurationError} an option has a wrong value.
 * @publicApi
 */
export function redisLock(options: RedisLockOptions): LockStrategyFactory {
  check(options);
  const {
    prefix = 'lock:',
    bypass = 0,
    replicas = 0,
    afterRestart = 'seen',
    shutdownTimeout = 10_000,
    resources,
  } = options;
  return (nest) => {
    const place = placeOf(options, nest);
    const { source } = place;
    if ((source.keyPrefix + prefix).includes('{}')) {
      throw wrong(
        'prefix',
        source.keyPrefix + prefix,
        'must not contain "{}", which breaks hash tags. Remove it',
      );
    }
    const { strategy } = nest;
    return new RedisLockStrategy({
      ...place,
      strategy,
      prefix,
      resources,
      bypass,
      replicas,
      afterRestart,
      shutdownTimeout,
    });
  };
}

function check(options: RedisLockOptions): void {
  checkKnownOptions('redisLock', options, OPTIONS);
  const given = PLACES.filter((place) => options[place] !== undefined);
  if (given.length !== 1) {
    throw new LockConfigurationError(
      `redisLock: exactly one of url, options, client and token says where Redis is, but got ${given.join(' and ') || 'none'}. ` +
        "For example redisLock({ url: 'redis://localhost:6379' }).",
    );
  }
  const { url, prefix, bypass, replicas, afterRestart, shutdownTimeout, client } = options;
  if (url !== undefined && !isRedisUrl(url)) {
    // Not shown: it may hold a password, which has no place in a log.
    throw new LockConfigurationError(
      "redisLock: url must be like 'redis://localhost:6379', or rediss:// for TLS, and is no such address. Correct it.",
    );
  }
  if (client !== undefined && !isRedisClient(client)) throw notAClient('client', client);
  if (prefix !== undefined && (typeof prefix !== 'string' || /[{}\s]/.test(prefix))) {
    throw wrong('prefix', prefix, 'must be a string without braces and spaces. Remove them');
  }
  if (bypass !== undefined && !isWhole(bypass, MOST_BYPASSES)) {
    throw wrong(
      'bypass',
      bypass,
      `must be a whole number from 0 to ${MOST_BYPASSES}. Leave it out for strict order`,
    );
  }
  if (replicas !== undefined && !isWhole(replicas, MOST_REPLICAS)) {
    throw wrong(
      'replicas',
      replicas,
      `must be a whole number from 0 to ${MOST_REPLICAS}. Leave it out for none`,
    );
  }
  if (afterRestart !== undefined && !['seen', 'always'].includes(afterRestart)) {
    throw wrong('afterRestart', afterRestart, "must be 'seen' or 'always'. Leave it out for 'seen'");
  }
  if (shutdownTimeout !== undefined && !isWhole(shutdownTimeout, 2 ** 31 - 1)) {
    throw wrong(
      'shutdownTimeout',
      shutdownTimeout,
      'must be whole milliseconds from 0. Leave it out for 10000',
    );
  }
}

function placeOf({ url, options, client, token }: RedisLockOptions, nest: StrategyContext): RedisPlace {
  if (url !== undefined) return { cluster: false, source: sourceFromUrl(url) };
  if (options !== undefined) return { cluster: false, source: sourceFromOptions(options) };
  const provided = client ?? nest.get<unknown>(token);
  if (!isRedisClient(provided)) throw notAClient('token', provided);
  return provided.isCluster === true
    ? { cluster: true, source: sourceFromCluster(provided) }
    : { cluster: false, source: sourceFromClient(provided) };
}

function isRedisUrl(url: unknown): boolean {
  return typeof url === 'string' && /^rediss?:\/\//.test(url) && URL.canParse(url);
}

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

function notAClient(option: string, value: unknown): LockConfigurationError {
  const got = typeof value === 'object' && value !== null ? value.constructor?.name : typeof value;
  return wrong(
    option,
    got,
    "must be a client of ioredis 5 or 6 (not of node-redis). Hand in one, or use 'url'",
  );
}

function wrong(option: string, value: unknown, limit: string): LockConfigurationError {
  return new LockConfigurationError(`redisLock: ${option} ${limit}. Got ${JSON.stringify(value)}.`);
}
