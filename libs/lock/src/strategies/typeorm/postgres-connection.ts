import { type ClosableStream, onFirstEnd, streamClosed } from './connection-end.js';
import type { DriverConnection, StatementResult } from './dialect.js';
import type { QueryGate } from './query-queue.js';
import { replacing } from './replacing.js';

/** The driver's side of a connection to PostgreSQL: a client of the package `pg`. */
export class PostgresConnection implements DriverConnection {
  constructor(private readonly client: PgClient) {}

  get session(): number | undefined {
    return this.client.processID ?? undefined;
  }

  async run(statements: string): Promise<readonly StatementResult[]> {
    // A `query_timeout` of the user's is not for us: what has a limit here has it by the server and by the caller.
    const answer = await this.client.query({ text: statements, query_timeout: LONGEST_TIMEOUT });
    const results = Array.isArray(answer) ? answer : [answer];
    return results.map(({ command, rows }) => ({ command: command ?? '', rows: rows ?? [] }));
  }

  onEnd(listener: (error: Error | undefined) => void): () => void {
    const { client } = this;
    // A server that goes away is reported as `error`, a connection that ends in order only as `end`.
    const signs = [
      [client, 'error'],
      [client, 'end'],
    ] as const;
    return onFirstEnd(signs, listener);
  }

  guarded(gate: QueryGate): unknown {
    const { client } = this;
    const query = (...args: Parameters<PgClient['query']>): unknown => {
      const [statement] = args;
      // A stream is a query that runs itself: see QueryQueue.stream.
      if (typeof statement === 'object' && 'submit' in statement) return client.query(...args);
      return gate(() => client.query(...args));
    };
    return replacing(client, { query });
  }

  closed(): Promise<void> {
    return streamClosed(this.client.connection?.stream);
  }

  destroy(): Promise<void> {
    // `end` first: it marks the client, so that its pool drops it and nothing is reported as unexpected. Then the socket
    // itself, for `end` alone waits for a server that may be frozen.
    this.client.end().catch(() => undefined);
    this.client.connection?.stream?.destroy();
    return Promise.resolve();
  }
}

/** The longest that a timer of Node can run. */
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** What is used of a client of `pg`, so that its types are not needed to install the library. */
interface PgClient {
  query(query: object | string, ...more: unknown[]): Promise<PgResult | PgResult[]>;
  on(event: string, listener: (error?: unknown) => void): unknown;
  off(event: string, listener: (error?: unknown) => void): unknown;
  end(): Promise<void>;
  readonly processID?: number | null;
  readonly connection?: { readonly stream?: ClosableStream };
}

interface PgResult {
  readonly command?: string;
  readonly rows?: readonly Record<string, unknown>[];
}
