import {
  HttpException,
  Inject,
  Injectable,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { catchError, finalize, throwError, type Observable } from 'rxjs';
import { withWaitSignal } from '../locking/lock-context.js';
import { nodeResponse, onHangUp, type HttpResponse } from './http-response.js';
import {
  keyedInterceptor,
  type LockedRequest,
  type RequestKey,
  type RequestLockOptions,
} from './keyed-interceptor.js';
import { answerTo, LOCK_HTTP_OPTIONS, type LockHttpOptions } from './lock-http-answers.js';

/**
 * Gives handlers what a lock alone can't know of a request, on Express and Fastify:
 *
 * - a client that hangs up ends its *waiting* for any lock below, and leaves the queue; a method that runs goes on;
 * - errors of locks become answers: busy is 423 with `Retry-After`, lost is 409, unavailable is 503.
 *
 * @example
 * ```ts
 * @UseInterceptors(DistributedLockInterceptor)
 * @Controller('stock')
 * ```
 *
 * Handlers that serve no HTTP request are left as they are.
 *
 * @publicApi
 */
@Injectable()
export class DistributedLockInterceptor implements NestInterceptor {
  constructor(@Optional() @Inject(LOCK_HTTP_OPTIONS) private readonly options: LockHttpOptions = {}) {}

  /**
   * An interceptor that also locks the handler, or every handler of a controller, by what only the request knows. The
   * lock is held until the handler's promise or stream has ended.
   *
   * What the function returns is taken as it is: put `escapeSegment(value)` around what a client may choose freely.
   *
   * @example
   * ```ts
   * @UseInterceptors(DistributedLockInterceptor.of((request) => `cart:${request.user.id}`))
   * ```
   *
   * @param key - makes the key, or several, from the request, after the guards and before the pipes.
   * @throws {LockConfigurationError} an option is out of its range.
   */
  static of<Request extends object = LockedRequest>(
    key: RequestKey<Request>,
    options: RequestLockOptions = {},
  ): Type<NestInterceptor> {
    return keyedInterceptor(DistributedLockInterceptor, key, options);
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    // GraphQL's own type of context is not in Nest's list of types.
    if (context.getType<string>() !== 'http') return this.handle(context, next);
    const response = context.switchToHttp().getResponse<HttpResponse>();
    const gone = new AbortController();
    const stopListening = onHangUp(response, () => gone.abort(new ClientHungUpException()));
    return withWaitSignal(gone.signal, () => this.handle(context, next)).pipe(
      catchError((error: unknown) => {
        const answer = answerTo(error, this.options);
        if (answer?.retryAfter !== undefined && !nodeResponse(response).headersSent) {
          response.header('Retry-After', String(answer.retryAfter));
        }
        return throwError(() => answer ?? error);
      }),
      finalize(stopListening),
    );
  }

  /** Runs the handler: Nest keeps the async context in which `handle` is called. */
  protected handle(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

/**
 * Why a wait ended: nobody is there to be answered. An `HttpException`, which Nest does not log as a failure.
 *
 * @publicApi
 */
export class ClientHungUpException extends HttpException {
  constructor() {
    // 499 is what nginx logs for this.
    super('The client hung up while its request was waiting for a lock.', 499);
  }
}
