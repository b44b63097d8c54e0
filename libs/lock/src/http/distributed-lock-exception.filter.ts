import { Catch, Inject, Optional, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { throwError } from 'rxjs';
import {
  LockBusyError,
  LockLostError,
  LockShutdownError,
  LockTargetNotFoundError,
  LockUnavailableError,
  StaleLockError,
} from '../locking/lock-error.js';
import { LockGraphqlException } from './handler-caller.js';
import { nodeResponse, type HttpResponse } from './http-response.js';
import {
  answerTo,
  LOCK_HTTP_OPTIONS,
  type LockHttpException,
  type LockHttpOptions,
} from './lock-http-answers.js';

/**
 * Answers the errors of locks, for those who want only that: over HTTP and GraphQL as `DistributedLockInterceptor` does,
 * but also errors of guards, pipes and middleware, which an interceptor does not see.
 *
 * The clients of gateways and microservices would hear only "Internal server error" without it. They are sent
 * `{ status: 'error', code, key, message, retryAfter }`: as the event `exception`, or as the error of the message.
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

  /** @returns what Nest makes the answer of, for those kinds of handlers where it asks the filter for it. */
  catch(error: Error, host: ArgumentsHost): unknown {
    const answer = answerTo(error, this.options);
    if (answer === undefined) throw error;
    switch (host.getType<string>()) {
      case 'http':
        return answerRequest(answer, host.switchToHttp().getResponse<HttpResponse>());
      case 'graphql':
        return new LockGraphqlException(answer);
      case 'ws':
        return sendToClient(answer, host);
      default:
        return throwError(() => messageOf(answer));
    }
  }
}

function answerRequest(answer: LockHttpException, response: HttpResponse): void {
  const raw = nodeResponse(response);
  if (raw.headersSent) {
    // Too late for a status: an answer cut off is better than one that looks whole.
    raw.destroy();
    return;
  }
  if (answer.retryAfter !== undefined) response.header('Retry-After', String(answer.retryAfter));
  response.status(answer.getStatus()).send(answer.getResponse());
}

/** As Nest's own filters do, with the reason: `cause` tells the client which of its messages it was. */
function sendToClient(answer: LockHttpException, host: ArgumentsHost): void {
  const ws = host.switchToWs();
  const client = ws.getClient<WebSocketClient>();
  const data = { ...messageOf(answer), cause: { pattern: ws.getPattern(), data: ws.getData<unknown>() } };
  // A socket of `ws` has an `emit`, too, which reaches nobody but this process.
  if (typeof client.readyState === 'number') client.send?.(JSON.stringify({ event: 'exception', data }));
  else client.emit?.('exception', data);
}

interface WebSocketClient {
  readonly readyState?: number;
  send?(text: string): void;
  emit?(event: string, data: unknown): void;
}

function messageOf({ answer, retryAfter }: LockHttpException): object {
  const { code, key, message } = answer;
  return { status: 'error', code, key, message, retryAfter };
}
