import type { Contestant, ContestantOptions } from './contestant';
import { takingTurns } from './contestant';

/** `node-redisson`: waiters are woken by a message, and its watchdog renews. */
export async function open({ url, ttl }: ContestantOptions): Promise<Contestant> {
  const { Redisson } = await import('node-redisson');
  const { hostname, port } = new URL(url);
  const redisson = new Redisson({
    redis: { options: { host: hostname, port: Number(port) } },
    lockWatchdogTimeout: BigInt(ttl),
  });
  return takingTurns(
    async (name) => {
      const lock = redisson.getLock(name);
      await lock.lock();
      return { release: () => lock.unlock() };
    },
    () => redisson.quit(),
  );
}
