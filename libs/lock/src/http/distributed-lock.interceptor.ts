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
import { catchError, finalize, tap, throwError, type Observable } from 'rxjs';
import { withWaitSignal } from '../locking/lock-context.js';
import { callerOf, type HandlerCaller } from './handler-caller.js';
import {
  keyedInterceptor,
  type LockedRequest,
  type RequestKey,
  type RequestLockOptions,
} from './keyed-interceptor.js';
import { LOCK_HTTP_OPTIONS, type LockHttpOptions } from './lock-http-answers.js';

/**
 * Gives handlers what a lock alone can't know of a request, on Express and Fastify:
 *
 * - a client that hangs up ends its *waiting* for any lock below, and leaves the queue; a method that runs goes on;
 * - errors of locks become answers: busy is 423 with `Retry-After`, lost is 409, unavailable is 503.
 *
 * In other kinds of handlers it does what can be done there:
 *
 * - GraphQL: as over HTTP, where the operation's context has the `req` and its `res` or `reply`; the error's `extensions`
 *   hold `code`, `key` and `retryAfter`;
 * - gateways: a client that disconnects ends its waiting; errors pass as they are, for `DistributedLockExceptionFilter`;
 * - messages of microservices: everything passes as it is; add `DistributedLockExceptionFilter` for the errors.
 *
 * @example
 * ```ts
 * @UseInterceptors(DistributedLockInterceptor)
 * @Controller('stock')
 * ```
 *
 * @publicApi
 */
@Injectable()
export class DistributedLockInterceptor implements NestInterceptor {
  constructor(@Optional() @Inject(LOCK_HTTP_OPTIONS) private readonly options: LockHttpOptions = {}) {}

  /**
   * An interceptor that also locks the handler, or every handler of a controller or resolver, by what only the request
   * knows. The lock is held until the handler's promise or stream has ended. Gateways and messages have no request: lock
   * their handlers with `@DistributedLock`.
   *
   * @example
   * ```ts
   * @UseInterceptors(DistributedLockInterceptor.of('cart:<user.id>'))
   * @UseInterceptors(DistributedLockInterceptor.of((request) => `cart:${escapeSegment(request.user.id)}`))
   * ```
   *
   * @param key - made after the guards and before the pipes: a template whose placeholders are properties of the
   * request, such as `<params.id>` or `<headers.x-tenant>`, or several; or a function of the request. A template escapes
   * its values; what a function returns is taken as it is, so put `escapeSegment(value)` around what a client chooses.
   * @throws {LockConfigurationError} the key is malformed, or an option is out of its range.
   */
  static of<Request extends object = LockedRequest>(
    key: RequestKey<Request>,
    options: RequestLockOptions = {},
  ): Type<NestInterceptor> {
    return keyedInterceptor(DistributedLockInterceptor, key, options);
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const caller = callerOf(context, this.options);
    const gone = new AbortController();
    const leave = (): void => gone.abort(new ClientHungUpException());
    const stopListening = caller.onHangUp(leave);
    return withWaitSignal(gone.signal, () => this.handle(context, next, caller)).pipe(
      // A gateway's client that disconnects, or a `timeout()` outside: nobody waits for the answer any more.
      tap({ unsubscribe: leave }),
      catchError((error: unknown) => throwError(() => caller.failureFor(error))),
      finalize(stopListening),
    );
  }

  /** Runs the handler: Nest keeps the async context in which `handle` is called. */
  protected handle(
    _context: ExecutionContext,
    next: CallHandler,
    _caller: HandlerCaller,
  ): Observable<unknown> {
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
