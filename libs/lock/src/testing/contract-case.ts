import type { LockTraits } from '../locking/lock-strategy.js';
import type { Arena } from './arena.js';

/** One promise of the contract: throws when the strategy does not keep it. */
export interface ContractCase {
  /** The promise, as the title of its test. */
  readonly title: string;
  /** Whether a strategy that claims these traits makes this promise. */
  readonly appliesTo: (traits: LockTraits) => boolean;
  readonly run: (arena: Arena) => Promise<void>;
}

export const everyStrategy = (): boolean => true;
export const sharedStrategies = ({ scope }: LockTraits): boolean => scope === 'shared';
export const orderedStrategies = ({ order }: LockTraits): boolean => order !== 'none';
export const unorderedStrategies = ({ order }: LockTraits): boolean => order === 'none';
