import type { Report } from '../benchmark';
import type { Machine } from './machine';

/** What is written down of a run. */
export interface Results {
  readonly date: string;
  readonly machine: Machine;
  /** Processes that wanted to run in the last minute of each benchmark, its own included. */
  readonly loads: Readonly<Record<string, number>>;
  readonly reports: Readonly<Record<string, Report>>;
  readonly errors: Readonly<Record<string, string>>;
}
