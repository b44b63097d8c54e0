import { AsyncResource } from 'node:async_hooks';
import type { IncomingHttpHeaders } from 'node:http';
import {
  Injectable,
  mixin,
  StreamableFile,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { Observable, Subscription, type Subscriber, type TeardownLogic } from 'rxjs';
import { checkLockOptions, type LockOptions } from '../locking/lock-call-options.js';
import { LockConfigurationError } from '../locking/lock-error.js';
import { hostOf, injectHost } from '../method/host-property.js';
import { compileKey } from '../method/lock-key.js';
import { addLockedMethod } from '../method/locked-methods.js';
import type { HandlerCaller } from './handler-caller.js';
import { closed, type HttpResponse } from './http-response.js';
import type { DistributedLockInterceptor } from './distributed-lock.interceptor.js';

/** A request of Express or Fastify, as far as keys are made of it; name your own type where you need more. */
export interface LockedRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, string | number>>;
  /** As a guard has set it. */
  readonly user: Readonly<Record<string, string | number>>;
}

/** Templates whose placeholders are properties of a request, or a function that makes the key, or several, of one. */
export type RequestKey<Request> =
  string | readonly string[] | ((request: Request) => string | readonly string[]);

/** {@link LockOptions} for a handler, whose answer to a busy lock is an HTTP status. */
export type RequestLockOptions = Omit<LockOptions, 'whenBusy'>;

/** The interceptor's class with a lock around the handler: a class, so that Nest injects the application's host. */
export function keyedInterceptor<Request>(
  Base: typeof DistributedLockInterceptor,
  key: RequestKey<Request>,
  options: RequestLockOptions,
): Type<NestInterceptor> {
  const where = 'DistributedLockInterceptor.of';
  checkLockOptions(options, where);
  const requestKey = compileKey(key, {
    label: where,
    parameters: 'properties',
  });

  @Injectable()
  class KeyedLockInterceptor extends Base {
    protected override handle(
      context: ExecutionContext,
      next: CallHandler,
      { request, response }: HandlerCaller,
    ): Observable<unknown> {
      const label = `${context.getClass().name}.${context.getHandler().name}`;
      if (request === undefined) throw noRequest(label, where);
      const handler: LockedHandler = {
        next,
        response,
        isEventStream: Reflect.getMetadata(SSE_METADATA, context.getHandler()) === true,
      };
      const lock: AroundHandler = (work, signal) => {
        const keys = requestKey.resolve(this, [request]);
        const call = { keys, label, template: requestKey.template, options, signal };
        return hostOf(this, label).run(call, work);
      };
      // Nest subscribes later, from outside of the contexts that the interceptors opened.
      const start = AsyncResource.bind((subscriber: Subscriber<unknown>) =>
        runLocked(handler, lock, subscriber),
      );
      return new Observable((subscriber) => start(subscriber));
    }
  }
  injectHost(KeyedLockInterceptor.prototype);
  // The start-up checks hold its options against the application, as those of a method.
  addLockedMethod(KeyedLockInterceptor, {
    label: where,
    propertyKey: 'handle',
    resources: requestKey.resources,
    options,
  });
  return mixin(KeyedLockInterceptor);
}

/** What `@Sse()` leaves on a handler; Nest does not export the name. */
const SSE_METADATA = '__sse__';

interface LockedHandler {
  readonly next: CallHandler;
  /** Absent for GraphQL, which sends no files. */
  readonly response: HttpResponse | undefined;
  /** Whether the client ends the handler's stream by going away. */
  readonly isEventStream: boolean;
}

/** Runs work inside the handler's lock; the signal ends the waiting for it. */
type AroundHandler = (work: () => Promise<void>, signal: AbortSignal) => Promise<void>;

function runLocked(
  handler: LockedHandler,
  lock: AroundHandler,
  subscriber: Subscriber<unknown>,
): TeardownLogic {
  const left = new AbortController();
  // A key function may throw; then the handler fails as if it had thrown itself.
  const ended = (async () => lock(() => forward(handler, subscriber, left.signal), left.signal))();
  // Only now, so that nobody is answered before the lock is free and a transaction committed.
  ended.then(
    () => subscriber.complete(),
    (error: unknown) => subscriber.error(error),
  );
  return () => left.abort();
}

/** Passes on what the handler emits; resolves when it has ended. */
function forward(
  { next, response, isEventStream }: LockedHandler,
  subscriber: Subscriber<unknown>,
  left: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let last: unknown;
    let emitted = isEventStream;
    const subscription = new Subscription();
    const stop = (): void => {
      subscription.unsubscribe();
      resolve();
    };
    // Who stops listening to a promise (a `timeout()` outside) does not stop the method: the lock is held until it ends.
    const leave = (): void => {
      if (emitted) stop();
    };
    left.addEventListener('abort', leave, { once: true });
    subscription.add(
      next.handle().subscribe({
        next(value) {
          last = value;
          emitted = true;
          if (left.aborted) stop();
          else subscriber.next(value);
        },
        error: reject,
        complete() {
          if (!(last instanceof StreamableFile) || response === undefined) return resolve();
          // Nest sends the file after the handler has ended.
          resolve(closed(response));
          subscriber.complete();
        },
      }),
    );
  });
}

function noRequest(label: string, where: string): LockConfigurationError {
  return new LockConfigurationError(
    `${label} serves no HTTP request, so ${where} has none to make its key of. Use @DistributedLock on the method.`,
  );
}
