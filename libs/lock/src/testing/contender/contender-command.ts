import type { LockInspection, LockRequest, LockTraits } from '../../locking/lock-strategy.js';

/** What a contender may be told to do. Plain data: it may have to travel to another process. */
export type ContenderCommand =
  | AcquireCommand
  | { readonly do: 'abort'; readonly attempt: number }
  | { readonly do: 'release'; readonly attempt: number }
  | { readonly do: 'extend'; readonly attempt: number; readonly duration: number }
  | { readonly do: 'state'; readonly attempt: number }
  | { readonly do: 'inspect'; readonly name: string }
  | { readonly do: 'forceRelease'; readonly name: string }
  | { readonly do: 'repeat'; readonly plan: RepeatPlan }
  | { readonly do: 'count'; readonly plan: CountPlan }
  | { readonly do: 'race'; readonly plan: RepeatPlan }
  | { readonly do: 'listeners'; readonly attempt: number }
  | { readonly do: 'traits' }
  | { readonly do: 'letGo' }
  | { readonly do: 'close' };

export interface AcquireCommand {
  readonly do: 'acquire';
  readonly attempt: number;
  readonly request: Omit<LockRequest, 'signal'>;
  /** Whether the request's signal is aborted before the strategy sees it. */
  readonly alreadyAborted: boolean;
}

/** What each command is answered with. */
export interface ContenderAnswers {
  acquire: Granted;
  abort: undefined;
  release: Released;
  extend: undefined;
  state: LeaseState;
  /** Undefined where the strategy has no `inspect`. */
  inspect: LockInspection | undefined;
  forceRelease: boolean | undefined;
  repeat: undefined;
  count: CountResult;
  race: RaceResult;
  /** How many listeners there are at the signal of the request. */
  listeners: number;
  traits: LockTraits;
  letGo: undefined;
  /** What the strategy has left at its process. */
  close: readonly string[];
}

/** Times are those of the machine's clock (`Date.now()`), which all processes of a test share. */
export interface Granted {
  readonly at: number;
  readonly token: number | undefined;
  readonly name: string;
}

export interface Released {
  /** When the release was begun: from here on somebody else may be let in. */
  readonly at: number;
}

export interface LeaseState {
  readonly at: number;
  readonly remaining: number;
  readonly aborted: boolean;
  /** The code of the error with which the lease's signal aborted. */
  readonly reason: string | undefined;
}

/** Takes and gives back a lock again and again, without a pause between. */
export interface RepeatPlan {
  readonly name: string;
  readonly times: number;
  readonly ttl: number;
}

/** What came of extensions that were under way when their leases were released. */
export interface RaceResult {
  /** 'extended', or the code of an error. */
  readonly outcomes: readonly string[];
  /** How many leases heard of a loss, though they were released. */
  readonly losses: number;
}

/** Counts in files that nothing but the lock protects. */
export interface CountPlan {
  readonly counters: readonly { readonly name: string; readonly file: string }[];
  /** How many do so at once in this contender, and how often each. */
  readonly tasks: number;
  readonly rounds: number;
  /** The longest pause between reading and writing. */
  readonly pause: number;
  /** How to lock; undefined counts without a lock. */
  readonly lock: { readonly ttl: number; readonly waitTime: number } | undefined;
}

export interface CountResult {
  /** How often each counter was raised. */
  readonly raised: readonly number[];
  /** How often somebody else was inside at the same time. */
  readonly overlaps: number;
  /** Tokens that were not above those of all earlier holders. */
  readonly staleTokens: readonly { readonly token: number; readonly seen: number }[];
}

/** An error on its way from another process. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
  /** The key that the error names, where it names one. */
  readonly key: string | undefined;
  /** Whether it is the very reason with which the wait was aborted. */
  readonly isAbortReason: boolean;
}
