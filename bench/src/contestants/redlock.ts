import { Redis } from 'ioredis';
import { type Contestant, type ContestantOptions, takingTurns } from './contestant';

/** The package has types, but its `exports` hide them. */
interface RedlockModule {
  readonly default: new (
    clients: readonly Redis[],
    settings: { readonly retryCount: number },
  ) => {
    acquire(names: string[], ttl: number): Promise<{ release(): Promise<unknown> }>;
    on(event: 'error', listener: () => void): void;
  };
}

/** `redlock` 5 beta on one server, with its own pauses (200 ms ± 100), trying for ever. Without its renewal. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const name: string = 'redlock';
  const { default: Redlock } = (await import(name)) as RedlockModule;
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  const redlock = new Redlock([redis], { retryCount: -1 });
  // It reports every attempt that finds the lock taken.
  redlock.on('error', () => undefined);
  return takingTurns(
    (key) => redlock.acquire([key], ttl),
    () => redis.quit(),
  );
}
