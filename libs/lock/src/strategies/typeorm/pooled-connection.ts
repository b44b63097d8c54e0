import type { DataSource, QueryRunner } from 'typeorm';
import { guardCheckouts } from './checkout-guard.js';
import { dataSourceOf } from './data-source-of.js';
import type { Dialect, DriverConnection, StatementResult } from './dialect.js';
import { createUnjoinedRunner } from './joined-queries.js';
import type { QueryGate } from './query-queue.js';
import { LimitOver, within } from './wait-limit.js';

export interface ConnectLimit {
  /** Milliseconds. */
  readonly limit: number;
  readonly signal?: AbortSignal;
  /** Called once, when the connection is the pool's again or has ended: also when the wait for it was given up. */
  readonly onGone: () => void;
}

/** A connection of the data source's pool, as long as it is ours. */
export class PooledConnection {
  private readonly endListeners = new Set<(reason: string) => void>();
  private readonly stopListening: () => void;
  private readonly driver: DriverConnection;
  private ended: string | undefined;
  private given = false;
  /** Until it is over the driver's connection stays, and with it its number on the server. */
  private abandoning: Promise<unknown> = Promise.resolve();

  /**
   * Takes a connection from the pool.
   *
   * @throws {LimitOver} none came in time. One that comes later goes straight back, or it would be missing for ever.
   */
  static async take(
    dataSource: DataSource,
    dialect: Dialect,
    { limit, signal, onGone }: ConnectLimit,
  ): Promise<PooledConnection> {
    guardCheckouts(dataSource);
    const runner = createUnjoinedRunner(dataSource);
    const connecting = Promise.resolve(runner.connect() as Promise<unknown>);
    try {
      const connection = await within(connecting, limit, signal);
      return new PooledConnection(runner, dialect.connectionOf(connection), onGone);
    } catch (error) {
      connecting
        .then(() => runner.release())
        .catch(() => undefined)
        .finally(onGone);
      throw error;
    }
  }

  private constructor(
    readonly runner: QueryRunner,
    driver: DriverConnection,
    private readonly onGone: () => void,
  ) {
    this.driver = driver;
    this.stopListening = driver.onEnd((error) =>
      this.end(error?.message ?? 'the server ended the connection'),
    );
  }

  /** Why the connection is of no use any more. */
  get endReason(): string | undefined {
    return this.ended;
  }

  /** See {@link DriverConnection.guarded}. */
  guarded(gate: QueryGate): unknown {
    return this.driver.guarded(gate);
  }

  onEnd(listener: (reason: string) => void): () => void {
    if (this.ended !== undefined) listener(this.ended);
    else this.endListeners.add(listener);
    return () => this.endListeners.delete(listener);
  }

  /**
   * Runs statements, separated by semicolons. When the answer does not come in time, or nobody wants it any more, the
   * connection is destroyed: what the server still does on it then can only be undone by its end.
   *
   * @param endWait - told the server's number of the connection when the signal aborts, before it is destroyed, and how
   *   many milliseconds it has; answers whether there was a wait to end
   */
  async run(
    statements: string,
    limit: number,
    signal?: AbortSignal,
    endWait?: (session: number, limit: number) => Promise<boolean>,
  ): Promise<readonly StatementResult[]> {
    if (this.ended !== undefined) throw new Error(this.ended);
    dataSourceOf(this.runner).logger.logQuery(statements, undefined, this.runner);
    const answer = this.driver.run(statements);
    try {
      return await within(answer, limit, signal);
    } catch (error) {
      if (error instanceof LimitOver)
        this.destroy(`the database gave no answer within ${Math.round(limit)} ms`);
      else if (signal?.aborted) {
        const { session } = this.driver;
        if (session !== undefined && endWait !== undefined) {
          this.abandoning = this.abandon(answer, (limit) => endWait(session, limit)).catch(() => undefined);
        }
        this.destroy('the wait was given up');
      }
      throw error;
    }
  }

  /** Ends the wait on the server, which may not have begun yet, and lets the server let go of what the session had. */
  private async abandon(
    answer: Promise<unknown>,
    endWait: (limit: number) => Promise<boolean>,
  ): Promise<void> {
    const until = performance.now() + LONGEST_ABANDONING;
    let answered = false;
    const settled = (): void => void (answered = true);
    answer.then(settled, settled);
    for (let left = LONGEST_ABANDONING; !answered && left > 0; left = until - performance.now()) {
      // The connection is closed last.
      if (await endWait(left)) return within(this.driver.closed(), until - performance.now());
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
  }

  /** Ends the connection; the pool makes another one when it needs it. */
  destroy(reason: string): void {
    this.end(reason);
    this.giveBack();
  }

  /** Gives the connection back to the pool, but not before it is known to be of no use, if it is. */
  giveBack(): void {
    if (this.given) return;
    this.given = true;
    this.stopListening();
    const usable =
      this.ended === undefined ? Promise.resolve() : this.abandoning.then(() => this.driver.destroy());
    usable
      .then(() => this.runner.release())
      .catch(() => undefined)
      .finally(this.onGone);
  }

  private end(reason: string): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    for (const listener of this.endListeners) listener(reason);
    this.endListeners.clear();
  }
}

/** Milliseconds that the server has to end a session of ours: one that is frozen must not keep its place in the pool. */
export const LONGEST_ABANDONING = 1_000;

/** Milliseconds. */
const LOOK_AGAIN = 20;
