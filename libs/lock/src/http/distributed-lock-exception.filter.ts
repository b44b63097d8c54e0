import { Catch, Inject, Optional, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import {
  LockBusyError,
  LockLostError,
  LockShutdownError,
  LockTargetNotFoundError,
  LockUnavailableError,
  StaleLockError,
} from '../locking/lock-error.js';
import { nodeResponse, type HttpResponse } from './http-response.js';
import { answerTo, LOCK_HTTP_OPTIONS, type LockHttpOptions } from './lock-http-answers.js';

/**
 * Answers the errors of locks as `DistributedLockInterceptor` does, for those who want only that: also errors of guards,
 * pipes and middleware, which an interceptor does not see.
 *
 * @example
 * ```ts
 * app.useGlobalFilters(new DistributedLockExceptionFilter({ busy: 409 }));
 * ```
 *
 * @publicApi
 */
@Catch(
  LockBusyError,
  LockLostError,
  LockUnavailableError,
  LockShutdownError,
  LockTargetNotFoundError,
  StaleLockError,
)
export class DistributedLockExceptionFilter implements ExceptionFilter {
  constructor(@Optional() @Inject(LOCK_HTTP_OPTIONS) private readonly options: LockHttpOptions = {}) {}

  catch(error: Error, host: ArgumentsHost): void {
    const answer = host.getType<string>() === 'http' ? answerTo(error, this.options) : undefined;
    if (answer === undefined) throw error;
    const response = host.switchToHttp().getResponse<HttpResponse>();
    const raw = nodeResponse(response);
    if (raw.headersSent) {
      // Too late for a status: an answer cut off is better than one that looks whole.
      raw.destroy();
      return;
    }
    if (answer.retryAfter !== undefined) response.header('Retry-After', String(answer.retryAfter));
    response.status(answer.getStatus()).send(answer.getResponse());
  }
}
