import { setHost } from '../method/host-property.js';

/**
 * Lets the locked methods of an object that Nest did not make run without locks, for unit tests. Keys are still checked.
 *
 * @example
 * ```ts
 * const stocks = withoutLocks(new StockService(repository));
 * ```
 *
 * @returns the same object.
 * @publicApi
 */
export function withoutLocks<T extends object>(instance: T): T {
  setHost(instance, { run: (_call, work) => work() });
  return instance;
}
