import type { Link } from './link.js';
import type { LockKeys } from './lock-keys.js';
import type { Router } from './router.js';
import type { ScriptName } from './script-command.js';
import type { ScriptKeys } from './script-keys.js';
import {
  RedirectedError,
  SessionLostError,
  type QueueSending,
  type Sending,
  type Session,
} from './session.js';

export interface RouteHost {
  readonly keys: LockKeys;
  /** Nobody knows what became of what was sent. */
  detach(): void;
  /** Says again all that is still wanted. */
  resume(): void;
}

/** Milliseconds before a lock is looked for again whose slot is moving just now. */
const ROUTE_PAUSE = 50;

/** The way of one lock to the server that serves it, wherever that moves. */
export class LockRoute {
  /** The server of the lock; undefined while a Cluster's topology is not known. */
  link: Link | undefined;
  /** How many questions wait for their answer: the queue is not forgotten before. */
  inFlight = 0;
  /** Changes whenever what was sent is given up: answers to it say nothing about what is still in flight. */
  epoch = 0;
  /** The server said that it does not serve the lock; who does is being asked. */
  rerouting = false;
  /** Why no server can serve the lock at the moment: its slot is on its way, or the Cluster is down. */
  refusal: RedirectedError | undefined;
  /** The slot is on its way to the link's server, which takes commands for it only when they say that they know. */
  asking = false;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly router: Router,
    private readonly host: RouteHost,
  ) {
    this.link = router.linkOf(host.keys);
  }

  get session(): Session | undefined {
    return this.link?.session;
  }

  /** Where commands can be sent to right now. */
  get open(): Session | undefined {
    return this.rerouting ? undefined : this.link?.session;
  }

  get lastError(): Error | undefined {
    return this.link?.lastError ?? this.router.lastError;
  }

  /** The channel to hear before a call may wait; undefined when one channel serves all locks. */
  get channel(): string | undefined {
    return this.router.channelOf(this.host.keys);
  }

  wireOf(session: Session): string {
    return this.router.wireOf(this.host.keys, session);
  }

  /** Sends a script for this lock; false without a connection. What the session loses is said again by `resume`. */
  send(sending: QueueSending): boolean {
    const { open: session } = this;
    if (session === undefined) return false;
    session.run(new RoutedSending(sending, session, this));
    return true;
  }

  /** A question was answered. */
  answered(): void {
    this.inFlight -= 1;
    this.refusal = undefined;
  }

  /** What was sent is given up. */
  detach(): void {
    this.epoch += 1;
    this.inFlight = 0;
  }

  /** The server that serves the lock may have changed. */
  refresh(): void {
    const link = this.router.linkOf(this.host.keys);
    if (link === this.link && !this.rerouting) return;
    this.goTo(link, false);
  }

  /** The server does not serve the lock. Nothing was run, and everything is said again to the one that does. */
  redirected(error: RedirectedError): void {
    const target = error.askAt === undefined ? undefined : this.router.linkAt(error.askAt);
    if (target !== undefined) return this.goTo(target, true);
    this.rerouting = true;
    this.host.detach();
    if (error.isMoved || error.askAt !== undefined) return this.router.refresh();
    this.refusal = error;
    this.retry ??= setTimeout(() => this.goTo(this.router.linkOf(this.host.keys), false), ROUTE_PAUSE);
  }

  /** Nobody wants the lock here any more. */
  leave(): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    // Who wants it next asks, and is told where to.
    this.rerouting = false;
    this.refusal = undefined;
    const { channel } = this;
    if (channel !== undefined) this.session?.quiet(channel);
  }

  private goTo(link: Link | undefined, asking: boolean): void {
    clearTimeout(this.retry);
    this.retry = undefined;
    // Nothing goes out before all is said again, in its order.
    this.rerouting = true;
    this.host.detach();
    this.rerouting = false;
    if (link !== this.link) this.refusal = undefined;
    this.link = link;
    this.asking = asking;
    if (this.session !== undefined) this.host.resume();
  }
}

/** A script of a lock on its way. After a detour most answers say nothing any more: the next server is asked the same. */
class RoutedSending implements Sending {
  readonly asking: boolean;
  private readonly epoch: number;

  constructor(
    private readonly sending: QueueSending,
    private readonly session: Session,
    private readonly route: LockRoute,
  ) {
    this.asking = route.asking;
    this.epoch = route.epoch;
  }

  get script(): ScriptName {
    return this.sending.script;
  }

  get keys(): ScriptKeys {
    return this.sending.keys;
  }

  get args(): string[] {
    return this.sending.args;
  }

  wanted(): boolean {
    return this.sending.wanted?.() ?? true;
  }

  replied(reply: string, sentAt: number, receivedAt: number): void {
    const { sending, session } = this;
    if (this.isCurrent || sending.countsAfterDetour) sending.replied(reply, sentAt, receivedAt, session);
  }

  failed(error: Error): void {
    const { sending } = this;
    if (error instanceof SessionLostError || !this.isCurrent) return sending.lost?.(error);
    if (!(error instanceof RedirectedError)) return sending.failed(error);
    sending.lost?.(error);
    this.route.redirected(error);
  }

  private get isCurrent(): boolean {
    return this.epoch === this.route.epoch;
  }
}
