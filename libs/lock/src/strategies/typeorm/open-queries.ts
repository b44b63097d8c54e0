import type { QueryRunner } from 'typeorm';

type QueryStream = Awaited<ReturnType<QueryRunner['stream']>>;

/** The queries of the work that are running on a transaction's connection. */
export class OpenQueries {
  private readonly streams = new Set<QueryStream>();
  private readonly whenNone: (() => void)[] = [];
  private running = 0;
  private alone: Promise<unknown> | undefined;

  get areOpen(): boolean {
    return this.running > 0 || this.alone !== undefined;
  }

  get isAlone(): boolean {
    return this.alone !== undefined;
  }

  /** Runs one query, after what {@link runAlone} is running. */
  async run<T>(query: () => Promise<T>, check: () => void): Promise<T> {
    while (this.alone !== undefined) await this.alone;
    check();
    this.running += 1;
    try {
      return await query();
    } finally {
      this.ended();
    }
  }

  async stream(open: () => Promise<QueryStream>, check: () => void): Promise<QueryStream> {
    while (this.alone !== undefined) await this.alone;
    check();
    this.running += 1;
    let stream: QueryStream;
    try {
      stream = await open();
    } catch (error) {
      this.ended();
      throw error;
    }
    this.streams.add(stream);
    stream.once('close', () => {
      if (this.streams.delete(stream)) this.ended();
    });
    return stream;
  }

  /** Runs statements while new queries wait; what runs already is before them in the connection's own queue. */
  async runAlone<T>(work: () => Promise<T>): Promise<T> {
    while (this.alone !== undefined) await this.alone;
    // A query that was let in a moment ago is not in the connection's queue yet.
    const begun =
      this.running > 0 ? new Promise<void>((resolve) => setImmediate(resolve)) : Promise.resolve();
    const result = begun.then(work);
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    this.alone = settled;
    try {
      return await result;
    } finally {
      this.alone = undefined;
    }
  }

  /** Resolves when nothing is running. A stream that nobody reads would block the connection for ever: it is ended. */
  async settle(): Promise<void> {
    for (const stream of this.streams) {
      stream.once('error', () => undefined);
      stream.destroy();
    }
    while (this.alone !== undefined) await this.alone;
    if (this.running > 0) await new Promise<void>((resolve) => this.whenNone.push(resolve));
  }

  private ended(): void {
    this.running -= 1;
    if (this.running > 0) return;
    for (const resolve of this.whenNone.splice(0)) resolve();
  }
}
