import { LimitOver } from './wait-limit.js';

export interface RenewalParts {
  /** Milliseconds after which the server drops a silent holder. */
  readonly ttl: number;
  /** When the server was heard of last, or a moment before. */
  readonly heardAt: number;
  /** Whether a query is running: the server is not idle then, and a ping could only queue up behind it. */
  readonly isBusy: () => boolean;
  /** Shows the server that we live; `limit` milliseconds are left for the answer. */
  readonly ping: (limit: number) => Promise<unknown>;
  readonly onLost: (reason: string) => void;
}

/**
 * Keeps a transaction alive. The server ends a transaction that is idle for `ttl`, so that a frozen holder keeps nobody
 * out for longer; one that is only busy elsewhere (an HTTP call) shows itself by a ping each third of it.
 */
export class TransactionRenewal {
  private ttl: number;
  /** When we sent the last message that the server has answered, or a little later: it began to count after that. */
  private heardAt: number;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly parts: RenewalParts) {
    this.ttl = parts.ttl;
    this.heardAt = parts.heardAt;
    this.schedule();
  }

  get remaining(): number {
    if (this.parts.isBusy()) return this.ttl;
    return Math.max(0, this.heardAt + this.ttl - performance.now());
  }

  /** Changes the time after which the server drops us. */
  async extend(ttl: number, tell: (limit: number) => Promise<unknown>): Promise<void> {
    const sentAt = performance.now();
    await tell(Math.max(1, this.remaining));
    this.ttl = ttl;
    this.heardAt = sentAt;
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    // Not longer than the first `ttl` asks for: an extension is for what blocks this process meanwhile.
    this.timer = setTimeout(() => void this.beat(), this.parts.ttl / 3).unref();
  }

  private async beat(): Promise<void> {
    if (this.parts.isBusy()) {
      this.heardAt = performance.now();
      this.schedule();
      return;
    }
    const sentAt = performance.now();
    const limit = this.heardAt + this.ttl - sentAt;
    if (limit <= 0) {
      // This process stood still: the server has dropped us, or will before a ping gets there.
      this.parts.onLost(`this process was silent for longer than the ttl of ${Math.round(this.ttl)} ms`);
      return;
    }
    try {
      await this.parts.ping(limit);
    } catch (error) {
      // An error of the server's is an answer as well; the end of the connection is reported by the connection.
      if (error instanceof LimitOver)
        this.parts.onLost(`the database did not answer within the ttl of ${Math.round(this.ttl)} ms`);
    }
    this.heardAt = Math.max(this.heardAt, sentAt);
    this.schedule();
  }
}
