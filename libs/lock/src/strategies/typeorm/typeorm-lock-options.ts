import type { EntityManager } from 'typeorm';
import { checkKnownOptions, type OptionNames } from '../../locking/known-options.js';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { MappedResources } from './mapped-resources.js';

/** How {@link typeormLock} locks. All durations are milliseconds. */
export interface TypeormLockOptions {
  /**
   * The name of the data source, as given to `TypeOrmModule.forRoot({ name })`.
   *
   * @defaultValue the default data source
   */
  readonly dataSource?: string;
  /**
   * Which keys lock the row of an entity: `{ stock: Stock }` lets `stock:42` lock the `Stock` with the primary key 42.
   * Keys of all other resources are rows of the lock table.
   *
   * @defaultValue none
   */
  readonly resources?: MappedResources;
  /**
   * How many connections of the pool all locks of this process together use at most, holders and those who wait in the
   * database. More lets more keys be locked at the same time; fewer leaves more connections to other queries.
   * Beside them, and beside the pool when that has none to spare, one connection looks after queries that take longer than
   * a third of their lock's `ttl`.
   *
   * @defaultValue half the pool, at least 1
   */
  readonly maxConnections?: number;
  /**
   * How long a call may take to reach the database (a connection, an answer), even if its `waitTime` is shorter: a call
   * that tries once needs the time to try.
   *
   * @defaultValue 1000
   */
  readonly connectTimeout?: number;
  /**
   * How often a lock is tried again that the database chose as the victim of a deadlock, while its method has not started.
   *
   * @defaultValue 3
   */
  readonly deadlockRetries?: number;
  /**
   * After how long a row of the lock table that nobody used is deleted. Must be longer than a stale holder could still
   * come back, if the table also fences the locks of another strategy: with the row, its highest token is forgotten.
   * `Infinity` keeps all rows.
   *
   * @defaultValue 604800000 (a week)
   */
  readonly purgeAfter?: number;
  /**
   * How long `drain` waits for holders when the application shuts down.
   *
   * @defaultValue 10000
   */
  readonly shutdownTimeout?: number;
  /**
   * The isolation level inside of locks. There is no other, for under a stricter one the method would read what was before
   * it waited; to be said only where the data source asks for a stricter level, which is an error at the start without it.
   *
   * @defaultValue 'READ COMMITTED'
   */
  readonly isolationLevel?: 'READ COMMITTED';
  /**
   * The entity manager of a transaction that something else has opened around the call, for libraries that can't be seen
   * from outside: `() => txHost.tx` for `@nestjs-cls/transactional`. The lock is then taken in that transaction and ends
   * with it. Transactions of `typeorm-transactional` are found without this.
   */
  readonly currentManager?: () => EntityManager | undefined;
}

export type ResolvedTypeormLockOptions = TypeormLockOptions &
  Required<
    Pick<
      TypeormLockOptions,
      'resources' | 'connectTimeout' | 'deadlockRetries' | 'purgeAfter' | 'shutdownTimeout'
    >
  >;

/**
 * @throws {LockConfigurationError} a value can't work; the message names the option, the value and the limit.
 */
export function resolveTypeormLockOptions(options: TypeormLockOptions): ResolvedTypeormLockOptions {
  checkKnownOptions('typeormLock', options, OPTIONS);
  const resolved = {
    ...options,
    resources: options.resources ?? {},
    connectTimeout: options.connectTimeout ?? 1_000,
    deadlockRetries: options.deadlockRetries ?? 3,
    purgeAfter: options.purgeAfter ?? 7 * 24 * 60 * 60 * 1_000,
    shutdownTimeout: options.shutdownTimeout ?? 10_000,
  };
  const { maxConnections } = options;
  if (maxConnections !== undefined) {
    check('maxConnections', maxConnections, 'an integer of at least 1', isInteger(1));
  }
  check('connectTimeout', resolved.connectTimeout, 'a number of milliseconds of at least 10', atLeast(10));
  check('deadlockRetries', resolved.deadlockRetries, 'an integer of at least 0', isInteger(0));
  check(
    'purgeAfter',
    resolved.purgeAfter,
    'a number of milliseconds of at least 60000 (a minute)',
    atLeast(60_000),
  );
  check('shutdownTimeout', resolved.shutdownTimeout, 'a number of milliseconds of at least 0', atLeast(0));
  return resolved;
}

const OPTIONS: OptionNames<TypeormLockOptions> = {
  dataSource: true,
  resources: true,
  maxConnections: true,
  connectTimeout: true,
  deadlockRetries: true,
  purgeAfter: true,
  shutdownTimeout: true,
  isolationLevel: true,
  currentManager: true,
};

function check(option: string, value: unknown, expected: string, isRight: (value: unknown) => boolean): void {
  if (isRight(value)) return;
  throw new LockConfigurationError(
    `typeormLock({ ${option}: ${String(value)} }) can't work: it must be ${expected}.`,
  );
}

function atLeast(lowest: number): (value: unknown) => boolean {
  return (value) => typeof value === 'number' && value >= lowest;
}

function isInteger(lowest: number): (value: unknown) => boolean {
  return (value) => Number.isInteger(value) && (value as number) >= lowest;
}
