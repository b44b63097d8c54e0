import type { ServerResponse } from 'node:http';

/** What the responses of Express and the replies of Fastify have in common. */
export interface HttpResponse {
  header(name: string, value: string): unknown;
  status(code: number): { send(body: unknown): unknown };
  /** Fastify's own response. */
  readonly raw?: ServerResponse;
}

/** Node's response, below Express or Fastify. */
export function nodeResponse(response: HttpResponse): ServerResponse {
  return response.raw ?? (response as unknown as ServerResponse);
}

/**
 * Calls back once the client has hung up, at once if it has already.
 *
 * Only the response tells: its `close` comes after the answer is sent, or without one. The request's own `close` comes
 * as soon as its body was read (nodejs/node#38924).
 *
 * @returns stops listening.
 */
export function onHangUp(response: HttpResponse, hungUp: () => void): () => void {
  const raw = nodeResponse(response);
  const close = (): void => {
    if (!raw.writableFinished) hungUp();
  };
  if (!raw.destroyed && !raw.closed) return onClose(raw, close);
  close();
  return () => undefined;
}

/** Who wants to know of a response's end. One listener stands for all of them: Node takes more than ten for a leak. */
const CALLBACKS = new WeakMap<ServerResponse, Set<() => void>>();

/** A GraphQL operation may have many fields that wait. */
function onClose(raw: ServerResponse, callback: () => void): () => void {
  const callbacks = CALLBACKS.get(raw) ?? listen(raw);
  callbacks.add(callback);
  return () => void callbacks.delete(callback);
}

function listen(raw: ServerResponse): Set<() => void> {
  const callbacks = new Set<() => void>();
  CALLBACKS.set(raw, callbacks);
  raw.once('close', () => callbacks.forEach((callback) => callback()));
  return callbacks;
}

/** Resolves when the response is sent or the client is gone. */
export async function closed(response: HttpResponse): Promise<void> {
  const raw = nodeResponse(response);
  if (!raw.destroyed && !raw.closed) await new Promise((resolve) => raw.once('close', resolve));
}
