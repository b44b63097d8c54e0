/** One way to lock, as an application uses it. */
export interface Contestant {
  /** Takes the lock, waits for the work, gives the lock back. */
  run(name: string, work: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

export interface ContestantOptions {
  readonly url: string;
  /** How long a silent holder keeps the others out, in milliseconds. */
  readonly ttl: number;
  /** How many local callers may go ahead of other processes': only the library's own Redis lock has that. */
  readonly bypass: number;
}

/** How long anybody waits, in milliseconds: longer than a round, so that nobody gives up in one. */
export const PATIENCE = 120_000;

/** A contestant that takes and gives back in two calls. */
export function takingTurns(
  acquire: (name: string) => Promise<{ release(): Promise<unknown> }>,
  close: () => Promise<unknown>,
): Contestant {
  return {
    async run(name, work) {
      const lock = await acquire(name);
      try {
        await work();
      } finally {
        await lock.release();
      }
    },
    async close() {
      await close();
    },
  };
}
