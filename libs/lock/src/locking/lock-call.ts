import type { LockOptions } from './lock-call-options.js';

/** One call that wants locks. */
export interface LockCall {
  /** The resolved keys, in any order. */
  readonly keys: readonly string[];
  /** Who asks, for messages: `StockService.decrease`. */
  readonly label: string;
  /** The key as it stands on the method: `stock:<id>`. */
  readonly template?: string;
  /** Checked before. The same object each time where possible: what it resolves to is remembered. */
  readonly options: LockOptions;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}
