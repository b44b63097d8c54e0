import { join } from 'node:path';
import type { LockTraits } from 'nestjs-distributed-lock';
import type { StrategyUnderTest } from 'nestjs-distributed-lock/testing';
import { referenceLock } from './reference-lock';
import type { ReferenceStore } from './reference-store';

/**
 * The reference as the contract suite wants to be told of it.
 *
 * @param store - what is behind it
 * @param port - where the store listens, known when the first strategy is made
 */
export function referenceSubject(
  scope: LockTraits['scope'],
  store: ReferenceStore,
  port: () => number,
): StrategyUnderTest {
  const traits: LockTraits = { scope, order: 'strict', fencing: true };
  return {
    name: scope === 'shared' ? 'a correct strategy for processes' : 'a correct strategy for tasks',
    traits,
    create: () => referenceLock({ port: port(), traits }),
    worker: {
      file: join(__dirname, 'reference.worker.ts'),
      execArgv: ['--import', 'tsx'],
      env: () => ({ REFERENCE_PORT: String(port()), REFERENCE_TRAITS: JSON.stringify(traits) }),
    },
    leftovers: () => Promise.resolve(store.names.filter((name) => name.startsWith('contract:'))),
    lease: 800,
  };
}
