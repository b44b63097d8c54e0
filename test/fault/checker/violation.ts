import type { Call } from '../history/history';
import type { Moment } from '../history/moment';

export type Promised =
  'exclusion' | 'tokens' | 'order' | 'progress' | 'renewal' | 'refusals' | 'residue' | 'data';

/** A promise that a history breaks. */
export interface Violation {
  readonly broken: Promised;
  readonly says: string;
  /** Who is concerned, for the part of the history that is shown. */
  readonly calls: readonly Call[];
  readonly from: Moment;
  readonly to: Moment;
}
