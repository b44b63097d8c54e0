import { type ClosableStream, onFirstEnd, streamClosed } from './connection-end.js';
import type { DriverConnection, StatementResult } from './dialect.js';
import type { QueryGate } from './query-queue.js';
import { replacing } from './replacing.js';

/** The driver's side of a connection to MariaDB: a connection of the package `mysql2`. */
export class MariadbConnection implements DriverConnection {
  constructor(private readonly connection: Mysql2Connection) {}

  get session(): number | undefined {
    return this.connection.threadId ?? undefined;
  }

  run(statements: string): Promise<readonly StatementResult[]> {
    return new Promise((resolve, reject) => {
      this.connection.query(statements, (error: Error | null, answer: unknown) => {
        if (error) reject(error);
        else resolve(resultsOf(answer));
      });
    });
  }

  onEnd(listener: (error: Error | undefined) => void): () => void {
    const { connection } = this;
    // A connection that ends while a query waits tells that query only; its stream ends in any case.
    const signs = [
      [connection, 'error'],
      [connection, 'end'],
      [connection.stream, 'close'],
    ] as const;
    return onFirstEnd(signs, listener);
  }

  guarded(gate: QueryGate): unknown {
    const { connection } = this;
    const promise = (): unknown => {
      const withPromises = connection.promise();
      const query = (...args: unknown[]): unknown => gate(() => withPromises.query(...args));
      return replacing(withPromises, { query });
    };
    // TypeORM 0.3 hands over a callback instead. Without one it is a stream, which runs itself: see QueryQueue.stream.
    const query = (...args: unknown[]): unknown => {
      const callback = args.at(-1);
      if (!isCallback(callback)) return connection.query(...args);
      const send = () => connection.promise().query(...args.slice(0, -1)) as Promise<readonly unknown[]>;
      gate(send).then((answer) => callback(null, ...answer), callback);
    };
    return replacing(connection, { promise, query });
  }

  closed(): Promise<void> {
    return streamClosed(this.connection.stream);
  }

  async destroy(): Promise<void> {
    const { connection } = this;
    // `destroy()` of the connection alone would leave the query that waits unsettled, and the stream alone is noticed too
    // late: the pool would hand the connection to the next.
    if (!connection.stream.destroyed) {
      const closed = this.closed();
      connection.stream.destroy();
      await closed;
    }
    connection.destroy();
  }
}

/** What is used of a connection of `mysql2`, so that its types are not needed to install the library. */
export interface Mysql2Connection {
  query(sql: string, callback: QueryCallback): void;
  query(...args: readonly unknown[]): unknown;
  on(event: string, listener: (error?: unknown) => void): unknown;
  off(event: string, listener: (error?: unknown) => void): unknown;
  promise(): { query(...args: unknown[]): Promise<unknown> };
  destroy(): void;
  readonly threadId?: number | null;
  readonly stream: ClosableStream;
}

type QueryCallback = (error: Error | null, ...answer: unknown[]) => void;

function isCallback(value: unknown): value is QueryCallback {
  return typeof value === 'function';
}

/** A statement with several results answers a list of them, one with a single result that itself. */
function resultsOf(answer: unknown): readonly StatementResult[] {
  if (!Array.isArray(answer)) return [resultOf(answer)];
  const isList = answer.some((part) => Array.isArray(part));
  return isList ? answer.map(resultOf) : [resultOf(answer)];
}

function resultOf(part: unknown): StatementResult {
  return { command: '', rows: Array.isArray(part) ? (part as StatementResult['rows']) : [] };
}
