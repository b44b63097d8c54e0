import { HttpException, type ExecutionContext } from '@nestjs/common';
import { nodeResponse, onHangUp, type HttpResponse } from './http-response.js';
import { answerTo, type LockHttpException, type LockHttpOptions } from './lock-http-answers.js';

/** Who waits for a handler's answer, as far as the kind of its context tells. */
export interface HandlerCaller {
  /** The HTTP request, with which a GraphQL operation came too; undefined for messages. */
  readonly request: object | undefined;
  /** Where an HTTP handler's answer goes. */
  readonly response?: HttpResponse;
  /** Calls back once nobody is there any more to be answered. @returns stops listening. */
  onHangUp(hungUp: () => void): () => void;
  /** What the handler fails with in place of the error of a lock. */
  failureFor(error: unknown): unknown;
}

/** The caller of a handler: of HTTP, GraphQL, a gateway or a message. */
export function callerOf(context: ExecutionContext, options: LockHttpOptions): HandlerCaller {
  // GraphQL's own type of context is not in Nest's list of types.
  switch (context.getType<string>()) {
    case 'http':
      return httpCaller(context, options);
    case 'graphql':
      return graphqlCaller(context, options);
    default:
      // Nest unsubscribes from the handler when a gateway's client disconnects; the end of a message's sender shows nowhere.
      return { request: undefined, onHangUp: () => () => undefined, failureFor: asItIs };
  }
}

/** Nest sends nothing of these errors to the client of a gateway or a message: the exception filter does. */
function asItIs(error: unknown): unknown {
  return error;
}

function httpCaller(context: ExecutionContext, options: LockHttpOptions): HandlerCaller {
  const http = context.switchToHttp();
  const response = http.getResponse<HttpResponse>();
  return {
    request: http.getRequest<object>(),
    response,
    onHangUp: (hungUp) => onHangUp(response, hungUp),
    failureFor(error) {
      const answer = answerTo(error, options);
      if (answer?.retryAfter !== undefined && !nodeResponse(response).headersSent) {
        response.header('Retry-After', String(answer.retryAfter));
      }
      return answer ?? error;
    },
  };
}

/** What Nest's drivers put into the context of an operation; subscriptions over a socket may have nothing of it. */
interface GraphqlContext {
  readonly req?: object & { readonly res?: HttpResponse };
  /** Set by mercurius, or by the application's own `context`. */
  readonly reply?: HttpResponse;
  readonly res?: HttpResponse;
}

function graphqlCaller(context: ExecutionContext, options: LockHttpOptions): HandlerCaller {
  const { req, res, reply } = context.getArgByIndex<GraphqlContext | undefined>(2) ?? {};
  const response = res ?? reply ?? req?.res;
  return {
    request: req,
    onHangUp: (hungUp) => (response === undefined ? () => undefined : onHangUp(response, hungUp)),
    failureFor(error) {
      const answer = answerTo(error, options);
      return answer === undefined ? error : new LockGraphqlException(answer);
    },
  };
}

/**
 * An error of a lock, as GraphQL shows it: `extensions` says what happened, under the error's own `code`.
 *
 * @publicApi
 */
export class LockGraphqlException extends HttpException {
  /** What graphql-js takes over into the answer. */
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor({ answer, retryAfter, cause }: LockHttpException) {
    // A text, for @nestjs/apollo replaces the extensions of an exception whose answer is an object.
    super(answer.message, answer.statusCode, { cause });
    const { code, key } = answer;
    this.extensions = { code, key, retryAfter };
  }
}
