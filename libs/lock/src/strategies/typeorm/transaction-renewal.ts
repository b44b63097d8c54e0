import { LimitOver } from './wait-limit.js';

export interface RenewalParts {
  /** Milliseconds after which the server drops a silent holder. */
  readonly ttl: number;
  /** When the server was heard of last, or a moment before. */
  readonly heardAt: number;
  /** Whether a query is running: a ping could only queue up behind it. */
  readonly isBusy: () => boolean;
  /** Shows the server that we live; `limit` milliseconds are left for the answer, which comes to {@link TransactionRenewal.heard}. */
  readonly ping: (limit: number) => Promise<unknown>;
  /** Asks the server by another connection, within `limit` milliseconds, what it does for us. */
  readonly look: (limit: number) => Promise<SessionState>;
  readonly onLost: (reason: string) => void;
}

/** What the server does for a transaction: it works on a query, waits for one, or has ended the transaction. */
export type SessionState = 'at work' | 'idle' | 'gone';

/**
 * Keeps a transaction alive. The server ends a transaction that is idle for `ttl`, so that a frozen holder keeps nobody
 * out for longer; one that is only busy elsewhere (an HTTP call) shows itself by a ping each third of it.
 *
 * Under a query that takes long, the server is asked by another connection whether it works on it. That the query was
 * sent proves nothing: what the server has never received leaves it idle, and it drops us. So the claim counts from the
 * last proof, and always from before that was asked for: the server began to count after that.
 */
export class TransactionRenewal {
  private readonly interval: number;
  private ttl: number;
  private heardAt: number;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly parts: RenewalParts) {
    this.ttl = parts.ttl;
    this.heardAt = parts.heardAt;
    // Also when it is extended later: an extension is for what blocks this process meanwhile.
    this.interval = parts.ttl / 3;
    this.schedule();
  }

  get remaining(): number {
    return Math.max(0, this.ttl - this.silence);
  }

  /** The server has answered what was sent then. */
  heard(sentAt: number): void {
    this.heardAt = Math.max(this.heardAt, sentAt);
  }

  /** Changes the time after which the server drops us. */
  async extend(ttl: number, tell: (limit: number) => Promise<unknown>): Promise<void> {
    await tell(Math.max(1, this.remaining));
    this.ttl = ttl;
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    const { interval, silence } = this;
    // Without a proof again soon, but not later than the claim ends.
    const delay = silence < interval ? interval - silence : Math.min(interval / 3, this.ttl - silence);
    this.timer = setTimeout(() => void this.beat(), Math.max(1, delay)).unref();
  }

  private async beat(): Promise<void> {
    const { silence } = this;
    if (silence < this.interval) return this.schedule();
    if (silence >= this.ttl) {
      // This process stood still, or no proof came: the server has dropped us, or will before a ping gets there.
      this.parts.onLost(
        `for longer than the ttl of ${Math.round(this.ttl)} ms nothing showed that the database still held it`,
      );
      return;
    }
    if (this.parts.isBusy()) await this.look(this.ttl - silence);
    else await this.ping(this.ttl - silence);
    this.schedule();
  }

  /** Milliseconds since the last proof. */
  private get silence(): number {
    return performance.now() - this.heardAt;
  }

  private async ping(limit: number): Promise<void> {
    try {
      await this.parts.ping(limit);
    } catch (error) {
      // An error of the server's is an answer as well; the end of the connection is reported by the connection.
      if (error instanceof LimitOver)
        this.parts.onLost(`the database did not answer within the ttl of ${Math.round(this.ttl)} ms`);
    }
  }

  private async look(limit: number): Promise<void> {
    const askedAt = performance.now();
    const state = await this.parts.look(limit).catch(() => 'idle');
    if (this.stopped) return;
    if (state === 'gone') this.parts.onLost('the database has ended its transaction');
    if (state === 'at work') this.heard(askedAt);
  }
}
