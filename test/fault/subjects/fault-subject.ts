import type { Promises } from '../checker/promises';
import type { Call } from '../history/history';
import type { FaultKind, StoreFault } from '../schedule/fault-schedule';

/** A strategy that is put under faults: where its store comes from, how it is broken, what must hold all the same. */
export interface FaultSubject {
  readonly name: string;
  /** The worker's side: a file that exports a `WorkerRecipe` named `recipe`. */
  readonly recipe: string;
  /** Whom the lock keeps out; one of `process` is asked by no second process. */
  readonly scope: 'process' | 'shared';
  readonly processes: number;
  /** Calls under way at once in each process. */
  readonly tasks: number;
  /** Milliseconds; some calls ask for half as much again. */
  readonly lease: number;
  readonly faults: readonly FaultKind[];
  readonly promises: Promises;
  open(): Promise<OpenSubject>;
}

/** The store of one round. */
export interface OpenSubject {
  /** Where its servers are; each worker reaches them through proxies of its own. */
  readonly urls: readonly string[];
  /** Breaks the store for so many milliseconds, and resolves when it is whole again. */
  inject(kind: StoreFault, duration: number): Promise<void>;
  /** What is left in the store, though nobody holds and nobody waits: one line each. */
  residue(keys: readonly string[]): Promise<readonly string[]>;
  /** What the holders did to data that only the lock protects, and should not have. */
  damage?(calls: readonly Call[]): Promise<readonly Damage[]>;
  close(): Promise<void>;
}

/** Data that are not as the lock should have kept them. */
export interface Damage {
  readonly says: string;
  /** Whose doing it is. */
  readonly calls: readonly Call[];
}
