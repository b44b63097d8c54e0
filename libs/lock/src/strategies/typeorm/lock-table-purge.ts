import type { LockDatabase } from './lock-database.js';

/**
 * Deletes rows of the lock table that nobody used for long, now and then and a few at a time. Rows that somebody holds or
 * waits for are passed over. Every process does it; that they do it at the same time is unlikely, and harmless.
 */
export class LockTablePurge {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: LockDatabase,
    private readonly unusedFor: number,
  ) {}

  start(): void {
    if (this.unusedFor === Infinity) return;
    const delay = Math.min(this.unusedFor, LONGEST_PAUSE) * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => {
      // Rows that stay are no harm; the next turn finds them again.
      void this.purge()
        .catch(() => undefined)
        .finally(() => this.start());
    }, delay).unref();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  /** Resolves to how many rows it deleted. */
  async purge(): Promise<number> {
    const { dialect, table } = this.database;
    let purged = 0;
    for (let batch = 0; batch < MOST_BATCHES; batch += 1) {
      const results = await this.database.run(dialect.purge(table, this.unusedFor), { limit: BATCH_LIMIT });
      const count = results.reduce((sum, { rows }) => sum + rows.length, 0);
      purged += count;
      if (count === 0) break;
    }
    return purged;
  }
}

/** Milliseconds. */
const LONGEST_PAUSE = 60 * 60 * 1_000;
const BATCH_LIMIT = 10_000;

/** A backlog is worked off over several turns, so that no turn takes long. */
const MOST_BATCHES = 50;
