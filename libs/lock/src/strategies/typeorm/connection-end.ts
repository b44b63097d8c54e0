/** What tells that a connection has ended, and by which event. */
export type EndSource = readonly [emitter: Emitter, event: string];

/** Calls the listener once, at the first sign; returns how to stop that. */
export function onFirstEnd(
  sources: readonly EndSource[],
  listener: (error: Error | undefined) => void,
): () => void {
  let told = false;
  const tell = (sign?: unknown): void => {
    if (told) return;
    told = true;
    // A closed socket tells whether there was an error, but not which.
    listener(typeof sign === 'object' && sign !== null ? (sign as Error) : undefined);
  };
  for (const [emitter, event] of sources) emitter.on(event, tell);
  return () => {
    for (const [emitter, event] of sources) emitter.off(event, tell);
  };
}

/** What is used of a driver's socket. */
export interface ClosableStream extends Emitter {
  readonly closed?: boolean;
  readonly destroyed: boolean;
  destroy(): void;
}

/** Resolves when the socket is closed, or when there is none. */
export function streamClosed(stream: ClosableStream | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (stream === undefined || stream.closed === true) return resolve();
    stream.on('close', () => resolve());
  });
}

interface Emitter {
  on(event: string, listener: (sign?: unknown) => void): unknown;
  off(event: string, listener: (sign?: unknown) => void): unknown;
}
