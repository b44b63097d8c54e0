import type { INestApplicationContext } from '@nestjs/common';
import { currentLease, LockService } from 'nestjs-distributed-lock';
import { eventually } from '../support/eventually';

/** Long enough for a machine under load, short enough for a test that fails. */
const PATIENCE = 8_000;

/** Stands inside of locked methods and sees who comes in. */
export class Turnstile {
  /** How often somebody came in. */
  visits = 0;
  /** Whoever came in without holding a lock, or beside somebody else. */
  readonly intruders: string[] = [];
  private inside = 0;

  /** What every locked method of these tests does. @returns the key that it holds. */
  async pass(): Promise<string> {
    const key = currentLease()?.key ?? 'no lock';
    this.inside += 1;
    this.visits += 1;
    if (key === 'no lock' || this.inside > 1) this.intruders.push(`${key}, ${this.inside} inside`);
    // Gives everybody who is not kept out a turn.
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.inside -= 1;
    return key;
  }
}

/**
 * Holds the lock itself, lets several calls come, and sees that all of them wait for it and none works; then lets them
 * in, and sees that they work one after another. Fails for a handler that is not locked.
 *
 * @returns what the calls resolved to.
 */
export async function expectTurns<T>(
  app: INestApplicationContext,
  {
    key,
    turnstile,
    calls = 3,
  }: { readonly key: string; readonly turnstile: Turnstile; readonly calls?: number },
  call: (number: number) => Promise<T>,
): Promise<readonly T[]> {
  const locks = app.get(LockService);
  const before = turnstile.visits;
  const lease = await locks.acquire(key);
  const answers = Promise.all(Array.from({ length: calls }, (_, number) => call(number)));
  answers.catch(() => undefined);
  try {
    await eventually(
      `${calls} calls wait for "${key}"`,
      async () => (await locks.inspect(key)).waiters.length === calls,
      PATIENCE,
    );
    expect(turnstile.visits).toBe(before);
  } finally {
    await lease.release();
  }
  const answered = await answers;
  // A message or an event may be answered before its handler has run.
  await eventually(`${calls} calls were let in`, () => turnstile.visits === before + calls, PATIENCE);
  expect(turnstile.intruders).toEqual([]);
  await eventually('the lock is free again', async () => !(await locks.inspect(key)).held, PATIENCE);
  return answered;
}
