import { HttpException } from '@nestjs/common';
import { checkKnownOptions, type OptionNames } from '../locking/known-options.js';
import { LockConfigurationError, type LockError, type LockErrorCode } from '../locking/lock-error.js';

/**
 * How errors of locks become answers. Set it in `LockModule.forRoot({ http })` for the whole application, or give it to
 * `new DistributedLockInterceptor(…)` and `new DistributedLockExceptionFilter(…)`.
 *
 * @publicApi
 */
export interface LockHttpOptions {
  /**
   * The status when somebody else held the lock for the whole `waitTime`.
   *
   * @defaultValue 423
   */
  readonly busy?: number;
  /**
   * The status when the lock was lost while the handler ran: its work may be done.
   *
   * @defaultValue 409
   */
  readonly lost?: number;
  /**
   * The status when no lock can be taken, because the store can't be reached or the server is shutting down.
   *
   * @defaultValue 503
   */
  readonly unavailable?: number;
  /**
   * What `Retry-After` tells the client of a busy or unavailable lock, in seconds.
   *
   * @defaultValue 1
   */
  readonly retryAfter?: number;
}

/** Where the module provides its `http` options. */
export const LOCK_HTTP_OPTIONS = Symbol.for('nestjs-distributed-lock:http-options');

/** The body of the answer: names the key, but neither who holds it nor why the store is down. */
export interface LockHttpAnswer {
  readonly statusCode: number;
  readonly code: LockErrorCode;
  readonly key: string | undefined;
  readonly message: string;
}

/** An error of a lock, as the client sees it; its `cause` is the error itself. */
export class LockHttpException extends HttpException {
  constructor(
    readonly answer: LockHttpAnswer,
    /** In seconds. */
    readonly retryAfter: number | undefined,
    cause: unknown,
  ) {
    super(answer, answer.statusCode, { cause });
  }
}

/** What the client is told of an error; undefined for errors that are none of a lock, or a mistake in the program. */
export function answerTo(error: unknown, options: LockHttpOptions = {}): LockHttpException | undefined {
  const { busy = 423, lost = 409, unavailable = 503, retryAfter = 1 } = options;
  const { code, key } = (error ?? {}) as Partial<LockError>;
  const what = key === undefined ? 'It' : `"${key}"`;
  const answer = (statusCode: number, message: string, after?: number): LockHttpException =>
    new LockHttpException({ statusCode, code: code as LockErrorCode, key, message }, after, error);

  // By code, not by class: the package may be loaded twice, as CommonJS and as ESM.
  switch (code) {
    case 'LOCK_BUSY':
      return answer(busy, `${what} is in use by somebody else. Try again in ${retryAfter} s.`, retryAfter);
    case 'LOCK_LOST':
      return answer(
        lost,
        `The lock on ${what} was lost, and the work may be done. Look before you try again.`,
      );
    case 'LOCK_STALE':
      return answer(lost, `${what} was changed by somebody else in the meantime. Nothing was written.`);
    case 'LOCK_TARGET_NOT_FOUND':
      return answer(404, `${what} does not exist.`);
    case 'LOCK_UNAVAILABLE':
      return answer(unavailable, `No lock can be taken right now. Try again in ${retryAfter} s.`, retryAfter);
    case 'LOCK_SHUTDOWN':
      return answer(unavailable, `This server is shutting down. Try again in ${retryAfter} s.`, retryAfter);
    default:
      return undefined;
  }
}

const OPTIONS: OptionNames<LockHttpOptions> = {
  busy: true,
  lost: true,
  unavailable: true,
  retryAfter: true,
};

/** @throws {LockConfigurationError} an option is unknown, or no status or number of seconds. */
export function checkHttpOptions(options: LockHttpOptions, where: string): void {
  checkKnownOptions(where, options, OPTIONS, '');
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (value === undefined) continue;
    const status = name !== 'retryAfter';
    const [least, most] = status ? [400, 599] : [0, Infinity];
    if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) continue;
    throw new LockConfigurationError(
      `${where}: ${name} must be ${status ? 'an HTTP status from 400 to 599' : 'a whole number of seconds'}, got ${JSON.stringify(value)}.`,
    );
  }
}
