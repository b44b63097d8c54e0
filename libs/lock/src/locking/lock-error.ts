/** What every {@link LockError} knows about the call that failed. */
export interface LockErrorContext {
  /** The resolved key, for example `stock:42`; absent where no key was made yet. */
  readonly key?: string;
  /** The name of the strategy, as given in `forRoot`. */
  readonly strategy?: string;
  readonly cause?: unknown;
}

/** The stable `code` of each error class: match on this across package versions and realms. */
export type LockErrorCode =
  | 'LOCK_BUSY'
  | 'LOCK_LOST'
  | 'LOCK_UNAVAILABLE'
  | 'LOCK_KEY'
  | 'LOCK_CONFIGURATION'
  | 'LOCK_TARGET_NOT_FOUND'
  | 'LOCK_STALE'
  | 'LOCK_NOT_OWNED'
  | 'LOCK_SHUTDOWN';

/**
 * The parent of all errors of this library.
 *
 * @publicApi
 */
export abstract class LockError extends Error {
  abstract readonly code: LockErrorCode;
  readonly key: string | undefined;
  readonly strategy: string | undefined;

  constructor(message: string, context: LockErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = new.target.name;
    this.key = context.key;
    this.strategy = context.strategy;
  }
}

/** What a {@link LockBusyError} knows beside the key. */
export interface LockBusyDetails extends LockErrorContext {
  /** Milliseconds that the call waited. */
  readonly waited: number;
  /** How many were waiting when the call gave up, where the strategy knows it. */
  readonly queueLength?: number;
  /** Who holds the lock, where the strategy knows it. */
  readonly holder?: string;
}

/**
 * Somebody else held the lock for the whole `waitTime`. The store works; trying again later is safe.
 *
 * @publicApi
 */
export class LockBusyError extends LockError {
  override readonly code = 'LOCK_BUSY';
  /** Milliseconds that the call waited. */
  readonly waited: number;
  /** How many were waiting when the strategy last heard of it: a hint, in which the call itself may be counted. */
  readonly queueLength: number | undefined;
  /** Who holds the lock, in the words of the strategy, where it knows. */
  readonly holder: string | undefined;

  constructor(details: LockBusyDetails) {
    const { key, waited, queueLength, holder } = details;
    const facts = [
      holder === undefined ? undefined : `held by ${holder}`,
      queueLength === undefined ? undefined : `${queueLength} waiting`,
    ].filter((fact) => fact !== undefined);
    super(
      `"${key}" is locked by somebody else (waited ${Math.round(waited)} ms${facts.map((fact) => `, ${fact}`).join('')}). ` +
        'Try again later, raise waitTime, or say with whenBusy what to do instead.',
      details,
    );
    this.waited = waited;
    this.queueLength = queueLength;
    this.holder = holder;
  }
}

/**
 * The lock was lost while its holder was working: the lease ended, or the store no longer knows it.
 * The work may be done, so don't retry blindly.
 *
 * @publicApi
 */
export class LockLostError extends LockError {
  override readonly code = 'LOCK_LOST';
  /** How the lock was lost. */
  readonly reason: string;
  /** What the method returned, when it ran to its end without the lock. */
  readonly result: unknown;

  constructor(reason: string, context: LockErrorContext & { readonly result?: unknown } = {}) {
    super(
      `The lock on "${context.key}" was lost: ${reason}. ` +
        "The work may be done, wholly or in part, so don't retry blindly: check first, or use fenced transactions.",
      context,
    );
    this.reason = reason;
    this.result = context.result;
  }
}

/**
 * The store can't be reached, or answers nothing of use: nobody knows whether the lock is free.
 *
 * @publicApi
 */
export class LockUnavailableError extends LockError {
  override readonly code = 'LOCK_UNAVAILABLE';

  constructor(reason: string, context: LockErrorContext = {}) {
    super(
      `No lock can be taken${context.key === undefined ? '' : ` on "${context.key}"`}: ${reason}`,
      context,
    );
  }
}

/**
 * A key that can't be locked: a value is missing, is an object, or makes the name too long.
 *
 * @publicApi
 */
export class LockKeyError extends LockError {
  override readonly code = 'LOCK_KEY';
}

/**
 * Options, modules or classes that can't work together. Thrown when the class is defined or the application starts.
 *
 * @publicApi
 */
export class LockConfigurationError extends LockError {
  override readonly code = 'LOCK_CONFIGURATION';
}

/**
 * The row that the key names does not exist.
 *
 * @publicApi
 */
export class LockTargetNotFoundError extends LockError {
  override readonly code = 'LOCK_TARGET_NOT_FOUND';
}

/**
 * The database has seen a later holder of this lock: nothing of this transaction was written.
 *
 * @publicApi
 */
export class StaleLockError extends LockError {
  override readonly code = 'LOCK_STALE';
}

/**
 * A lease is used that is not held: it was released, or the call is not inside a lock.
 *
 * @publicApi
 */
export class LockNotOwnedError extends LockError {
  override readonly code = 'LOCK_NOT_OWNED';
}

/**
 * The application is shutting down: it takes no new locks and gives up waiting.
 *
 * @publicApi
 */
export class LockShutdownError extends LockError {
  override readonly code = 'LOCK_SHUTDOWN';
}
