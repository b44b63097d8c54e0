import { LockConfigurationError, type LockBusyError } from './lock-error.js';

/** How a call wants its lock. All durations are milliseconds. */
export interface LockOptions<Result = unknown> {
  /**
   * The name of a strategy of `forRoot`. Name it where the key's first segment does not say it already: two strategies
   * for one key do not exclude each other.
   *
   * @defaultValue the strategy whose `resources` hold the key's first segment, else the default one
   */
  readonly strategy?: string;
  /**
   * How long to wait for the lock; 0 tries once, `Infinity` waits for ever. Long waits pile callers up, short ones
   * turn them away.
   *
   * @defaultValue 5000
   */
  readonly waitTime?: number;
  /**
   * How long a silent holder (dead, frozen, cut off) keeps the others out. Renewed while the method runs, so it is no
   * limit to the work. Shorter: the others go on sooner after a crash. Longer: a longer pause or network fault is survived.
   *
   * @defaultValue 10000
   */
  readonly ttl?: number;
  /**
   * Stop renewing, abort the lease's signal and give the lock back after this long, done or not. `holdAtMost` equal to
   * `ttl` is a fixed lease.
   *
   * @defaultValue none
   */
  readonly holdAtMost?: number;
  /**
   * Keep the lock at least this long after it was taken, also when the method is done sooner: for scheduled jobs on
   * servers whose clocks differ.
   *
   * @defaultValue 0
   */
  readonly holdAtLeast?: number;
  /**
   * What to do when the lock was not free within `waitTime`: 'throw' a `LockBusyError`; 'skip' the work and resolve to
   * undefined (`waitTime` is 0 then unless given, or a quick job would run twice); or a function that answers instead.
   *
   * @defaultValue 'throw'
   */
  readonly whenBusy?: 'throw' | 'skip' | ((error: LockBusyError) => Result | Promise<Result>);
  /**
   * What to do when the lock was lost while the method ran to its end: 'throw' a `LockLostError` that carries the
   * result, or 'ignore' it. A transaction is rolled back and throws all the same.
   *
   * @defaultValue 'throw'
   */
  readonly whenLost?: 'throw' | 'ignore';
  /**
   * What to do when the store can't be reached, or has not answered when `waitTime` ends: 'throw' a
   * `LockUnavailableError`, or 'run' without the lock, with an event and a warning each time.
   *
   * @defaultValue 'throw'
   */
  readonly whenUnavailable?: 'throw' | 'run';
  /**
   * Run the method in a database transaction that is committed before the lock is released: true, or the name of a
   * data source. Needs `transactions` in `forRoot`.
   *
   * @defaultValue false
   */
  readonly transaction?: boolean | string;
}

/** What `forRoot` may set for every lock of the application. */
export type LockDefaults = Pick<
  LockOptions,
  'waitTime' | 'ttl' | 'holdAtMost' | 'holdAtLeast' | 'whenLost' | 'whenUnavailable' | 'transaction'
>;

/** {@link LockOptions} with every default filled in. */
export interface ResolvedLockOptions extends Required<Omit<LockOptions, 'strategy' | 'holdAtMost'>> {
  readonly strategy: string | undefined;
  readonly holdAtMost: number | undefined;
}

/** The options of {@link LockOptions} with the values that they take unless a module or a method says otherwise. */
export const LOCK_DEFAULTS = {
  waitTime: 5_000,
  ttl: 10_000,
  holdAtLeast: 0,
  whenBusy: 'throw',
  whenLost: 'throw',
  whenUnavailable: 'throw',
  transaction: false,
} as const;

/** Fills in the defaults of the module, then those of the library. Both must have been checked before. */
export function resolveLockOptions(options: LockOptions, defaults: LockDefaults = {}): ResolvedLockOptions {
  const { whenBusy = LOCK_DEFAULTS.whenBusy } = options;
  const merged = { ...LOCK_DEFAULTS, ...definedOnly(defaults), ...definedOnly(options) };
  const waitTime = options.waitTime ?? (whenBusy === 'skip' ? 0 : merged.waitTime);
  return { strategy: undefined, holdAtMost: undefined, ...merged, waitTime, whenBusy };
}

/**
 * Refuses options that can't be right.
 *
 * @param where - who gave them, for the message: `StockService.decrease`, or `LockModule.forRoot({ defaults })`.
 * @throws {LockConfigurationError} an option is unknown, out of its range, or contradicts another.
 */
export function checkLockOptions(options: LockOptions, where: string): void {
  checkKnown(options, where, [...DURATIONS.keys(), ...CHOICES.keys(), 'strategy', 'whenBusy', 'transaction']);
  for (const [name, limits] of DURATIONS) checkDuration(where, name, options[name], limits);
  for (const [name, choices] of CHOICES) checkChoice(where, name, options[name], choices);
  checkWhenBusy(options.whenBusy, where);
  if (options.strategy !== undefined && (typeof options.strategy !== 'string' || options.strategy === '')) {
    refuse(
      where,
      'strategy',
      options.strategy,
      'must be the name of a strategy in LockModule.forRoot({ strategies })',
    );
  }
  if (options.transaction !== undefined && !isTransaction(options.transaction)) {
    refuse(where, 'transaction', options.transaction, 'must be true, false or the name of a data source');
  }
  checkCombinations(options, where);
}

/** Refuses module defaults that can't be right: what only a method may say, and all that {@link checkLockOptions} refuses. */
export function checkLockDefaults(defaults: LockDefaults, where: string): void {
  checkKnown(defaults, where, [...DURATIONS.keys(), ...CHOICES.keys(), 'transaction']);
  checkLockOptions(defaults, where);
}

/**
 * Refuses options that contradict each other: those of a method, and again together with the defaults that it leaves alone.
 *
 * @throws {LockConfigurationError} two options contradict each other.
 */
export function checkCombinations(options: LockOptions | ResolvedLockOptions, where: string): void {
  const { holdAtLeast, holdAtMost, whenUnavailable, transaction } = options;
  if (holdAtLeast !== undefined && holdAtMost !== undefined && holdAtLeast > holdAtMost) {
    refuse(where, 'holdAtLeast', holdAtLeast, `must not be above holdAtMost, which is ${holdAtMost}`);
  }
  if (whenUnavailable === 'run' && transaction !== undefined && transaction !== false) {
    throw new LockConfigurationError(
      `${where}: whenUnavailable: 'run' and transaction contradict each other, for without the lock nothing fences the ` +
        "transaction. Leave whenUnavailable at 'throw', or drop the transaction option.",
    );
  }
}

type Duration = 'waitTime' | 'ttl' | 'holdAtMost' | 'holdAtLeast';

/** The longest delay that a Node timer takes, about 24 days. */
const LONGEST_TIMER = 2 ** 31 - 1;

const DURATIONS = new Map<Duration, { least: number; most: number; infinite?: true }>([
  ['waitTime', { least: 0, most: LONGEST_TIMER, infinite: true }],
  ['ttl', { least: 100, most: 86_400_000 }],
  ['holdAtMost', { least: 1, most: LONGEST_TIMER }],
  ['holdAtLeast', { least: 0, most: LONGEST_TIMER }],
]);

const CHOICES = new Map<'whenLost' | 'whenUnavailable', readonly string[]>([
  ['whenLost', ['throw', 'ignore']],
  ['whenUnavailable', ['throw', 'run']],
]);

/** What people call these options where they come from. */
const ELSEWHERE = new Map([
  ['leaseTime', 'holdAtMost'],
  ['lockAtMostFor', 'ttl'],
  ['lockAtLeastFor', 'holdAtLeast'],
  ['lockWatchdogTimeout', 'ttl'],
  ['duration', 'ttl'],
  ['expiry', 'ttl'],
  ['timeout', 'waitTime'],
  ['wait', 'waitTime'],
]);

function checkKnown(options: object, where: string, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new LockConfigurationError(
      `${where}: the options of a lock must be an object, got ${String(options)}.`,
    );
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const here = ELSEWHERE.get(name);
    throw new LockConfigurationError(
      name === 'whenBusy' || name === 'strategy'
        ? `${where}: ${name} can't be a default, because it changes what a single method promises. Set it on the method.`
        : `${where}: there is no option "${name}". ${here === undefined ? `There are ${known.join(', ')}.` : `It is called "${here}" here.`}`,
    );
  }
}

function checkDuration(
  where: string,
  name: Duration,
  value: unknown,
  { least, most, infinite }: { least: number; most: number; infinite?: true },
): void {
  if (value === undefined || (infinite && value === Infinity)) return;
  if (typeof value === 'number' && value >= least && value <= most) return;
  refuse(
    where,
    name,
    value,
    `must be a number of milliseconds from ${least} to ${most}${infinite ? ', or Infinity' : ''}`,
  );
}

function checkChoice(where: string, name: string, value: unknown, choices: readonly string[]): void {
  if (value === undefined || choices.includes(value as string)) return;
  refuse(where, name, value, `must be ${choices.map((choice) => `'${choice}'`).join(' or ')}`);
}

function checkWhenBusy(value: unknown, where: string): void {
  if (value === undefined || value === 'throw' || value === 'skip' || typeof value === 'function') return;
  refuse(where, 'whenBusy', value, "must be 'throw', 'skip' or a function that answers instead");
}

function isTransaction(value: unknown): boolean {
  return typeof value === 'boolean' || (typeof value === 'string' && value !== '');
}

function refuse(where: string, option: string, value: unknown, rule: string): never {
  const shown =
    typeof value === 'string' ? `'${value}'` : typeof value === 'function' ? 'a function' : String(value);
  throw new LockConfigurationError(`${where}: ${option} ${rule}, got ${shown}.`);
}

function definedOnly<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
