import type { Contestant } from './contestant';

/** Lets everybody in: what every check of exclusion must catch. */
export function open(): Promise<Contestant> {
  return Promise.resolve({ run: (_name, work) => work(), close: () => Promise.resolve() });
}
