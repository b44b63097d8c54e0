import { ReplyCode, wantsSweep } from './replies.js';
import type { QueueSending, Session } from './session.js';
import type { LocalClock } from './local-clock.js';
import type { LockKeys } from './lock-keys.js';

export interface ReleaseHost {
  readonly keys: LockKeys;
  readonly instance: string;
  readonly clock: LocalClock;
  readonly session: Session | undefined;
  wireOf(session: Session): string;
  send(sending: QueueSending): boolean;
  /** The lock went on to other places of this instance. */
  takeReplied(reply: string, sentAt: number, receivedAt: number): void;
  sweepSoon(): void;
  retrySoon(): void;
  forgetIfIdle(): void;
}

interface Release {
  /** 16 digits. */
  readonly token: string;
  /** Local time until which the lock has to stay closed (`holdAtLeast`), or 0. */
  readonly closedUntil: number;
  attempts: number;
  done(): void;
}

/** Redis refuses it again and again (an ACL): the lease ends by itself. */
const MOST_ATTEMPTS = 100;

/** The grants of one lock that are being given back: each is told to Redis until Redis has answered. */
export class Releases {
  /** Made when something is given back: ten thousand locks may be held for hours. */
  private outstanding: Map<string, Release> | undefined;

  constructor(private readonly host: ReleaseHost) {}

  get isEmpty(): boolean {
    return this.outstanding === undefined || this.outstanding.size === 0;
  }

  /**
   * Gives a grant back. Resolves when Redis knows; or when the connection is lost (a silent one is soon) or Redis answers
   * with an error, for that is none of finished work, and the release is sent again by itself.
   */
  add(token: string, holdLeft: number): Promise<void> {
    return new Promise((resolve) => {
      const closedUntil = holdLeft > 0 ? this.host.clock.now() + holdLeft : 0;
      const release: Release = { token, closedUntil, attempts: 0, done: resolve };
      this.outstanding ??= new Map();
      this.outstanding.set(token, release);
      this.send(release);
    });
  }

  /** Whether this token (16 digits) is being given back. */
  has(token: string): boolean {
    return this.outstanding?.has(token) ?? false;
  }

  /** Sends again what was not answered. */
  resume(): void {
    for (const release of [...(this.outstanding?.values() ?? [])]) this.send(release);
  }

  /** Nobody has to wait for an answer any more: the connection is lost, or the server does not serve the lock. */
  detach(): void {
    for (const release of this.outstanding?.values() ?? []) release.done();
  }

  private send(release: Release): void {
    const { session, keys, instance, clock } = this.host;
    if (session === undefined) return release.done();
    const args = [release.token + instance, this.host.wireOf(session)];
    const closedFor = release.closedUntil === 0 ? 0 : Math.ceil(release.closedUntil - clock.now());
    if (closedFor > 0) args.push(String(closedFor));
    release.attempts += 1;
    const sent = this.host.send({
      script: 'release',
      keys: keys.both,
      args,
      replied: (reply, sentAt, receivedAt) => {
        this.forget(release);
        if (reply.startsWith(ReplyCode.GRANTED)) this.host.takeReplied(reply, sentAt, receivedAt);
        if (wantsSweep(reply)) this.host.sweepSoon();
        this.host.forgetIfIdle();
      },
      failed: () => {
        release.done();
        if (release.attempts < MOST_ATTEMPTS) return this.host.retrySoon();
        this.forget(release);
        this.host.forgetIfIdle();
      },
    });
    if (!sent) release.done();
  }

  private forget(release: Release): void {
    if (this.outstanding?.get(release.token) === release) this.outstanding.delete(release.token);
    release.done();
  }
}
