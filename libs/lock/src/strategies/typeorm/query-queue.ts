import type { QueryRunner } from 'typeorm';

export type QueryStream = Awaited<ReturnType<QueryRunner['stream']>>;

/** Runs one query. */
export type QueryGate = <T>(query: () => Promise<T>) => Promise<T>;

/**
 * The queries of a transaction, one at a time, in the order of arrival.
 *
 * A connection does one thing at a time anyway, so nothing is lost by not handing it more; but what is still in here can
 * be looked at before it is sent: behind a query that has ended the transaction, or behind the COMMIT, nothing may be.
 */
export class QueryQueue {
  private readonly streams = new Set<QueryStream>();
  private last: Promise<unknown> = Promise.resolve();
  private open = 0;

  /** Whether something is running or waiting. */
  get isBusy(): boolean {
    return this.open > 0;
  }

  /** Runs a query when all before it have settled. */
  run<T>(query: () => Promise<T>): Promise<T> {
    this.open += 1;
    const result = this.last.then(query);
    this.last = result
      .catch(() => undefined)
      .finally(() => {
        this.open -= 1;
      });
    return result;
  }

  /** Opens a stream; what comes after it waits until it has ended. */
  stream(open: () => Promise<QueryStream>): Promise<QueryStream> {
    return new Promise((resolve, reject) => {
      const untilClosed = async (): Promise<void> => {
        const stream = await open();
        this.streams.add(stream);
        resolve(stream);
        await new Promise<void>((closed) => stream.once('close', closed));
        this.streams.delete(stream);
      };
      this.run(untilClosed).catch(reject);
    });
  }

  /** Resolves when all that was in here has settled. A stream that nobody reads would never end: it is ended. */
  async settle(): Promise<void> {
    for (const stream of this.streams) {
      stream.once('error', () => undefined);
      stream.destroy();
    }
    await this.last;
  }
}
