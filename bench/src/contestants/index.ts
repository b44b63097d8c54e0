import type { Contestant, ContestantOptions } from './contestant';

/** A contestant as the tables name it. */
export interface Entry {
  /** As `--strategies` names it. */
  readonly name: string;
  readonly kind: 'ours' | 'floor' | 'peer';
  /** The npm package, whose version the results name. */
  readonly package?: string;
}

interface ContestantModule {
  open(options: ContestantOptions): Promise<Contestant>;
}

/** Everybody who locks in Redis. */
export const REDIS_ENTRIES: readonly Entry[] = [
  { name: 'redis', kind: 'ours' },
  { name: 'plain', kind: 'floor', package: 'ioredis' },
  { name: 'redlock', kind: 'peer', package: 'redlock' },
  { name: 'sesamecare', kind: 'peer', package: '@sesamecare-oss/redlock' },
  { name: 'redis-semaphore', kind: 'peer', package: 'redis-semaphore' },
  { name: 'redlock-universal', kind: 'peer', package: 'redlock-universal' },
  { name: 'murlock', kind: 'peer', package: 'murlock' },
  { name: 'redis-kit', kind: 'peer', package: '@redis-kit/lock' },
  { name: 'node-redisson', kind: 'peer', package: 'node-redisson' },
  { name: 'effect', kind: 'peer', package: 'effect-distributed-lock' },
];

/** Loads only what is asked for: one that does not run must not stop the others. */
export async function openContestant(name: string, options: ContestantOptions): Promise<Contestant> {
  const { open } = (await import(`./${name}.js`)) as ContestantModule;
  return open(options);
}
