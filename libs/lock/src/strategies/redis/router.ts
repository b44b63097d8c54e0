import type { AfterRestart, Link } from './link.js';
import type { LocalClock } from './local-clock.js';
import type { LockKeys } from './lock-keys.js';
import type { Session } from './session.js';

/** Who is told about the links of a {@link Router}. */
export interface RouterUser {
  /** A session begins: what its locks want is said again. */
  opened(link: Link): void;
  /** A session ended. */
  lost(link: Link): void;
  /** The server dropped subscriptions of a link that is still open: a slot has moved. */
  unsubscribed(link: Link): void;
  /** A message of an inbox. */
  received(message: string): void;
  /** Locks may be served by other links now. */
  rerouted(): void;
}

export interface RouterSettings {
  readonly afterRestart: AfterRestart;
  readonly clock: LocalClock;
  readonly instance: string;
  /** What keys and channels begin with. */
  readonly prefix: string;
}

/** Knows which server serves a lock: one for all of them, or the master of its slot. */
export interface Router {
  /** Why there is no connection, as far as that is known. */
  readonly lastError: Error | undefined;
  /** Whether Redis could not be reached when it was last tried. */
  readonly isDown: boolean;
  /** Begins to connect. Resolves when the first attempt succeeded or failed. */
  start(): Promise<void>;
  /** The link that serves a lock; undefined while that is not known. */
  linkOf(keys: LockKeys): Link | undefined;
  /** The link that a server's redirection (ASK) names. */
  linkAt(address: string): Link | undefined;
  /** A server said that it does not serve a lock: look again who does. */
  refresh(): void;
  /** 'S' or 'P', then the prefix of the inbox channels: see the headers of the scripts. */
  wireOf(keys: LockKeys, session: Session): string;
  /** The channel to hear before a call of this lock may wait; undefined when one channel serves all locks. */
  channelOf(keys: LockKeys): string | undefined;
  /** Stops hearing, so that nothing more is granted. */
  mute(): void;
  close(): void;
}
