import type { Redis } from 'ioredis';
import type { LocalClock } from './local-clock.js';
import { Packets } from './packets.js';
import { RedisClock } from './redis-clock.js';
import { ScriptCommand, type ScriptCall, type ScriptName } from './script-command.js';
import type { ScriptKeys } from './script-keys.js';
import type { ServerFacts } from './server-facts.js';

/** The connection ended: nobody knows whether Redis ran the command. What is still wanted is sent again by the next session. */
export class SessionLostError extends Error {}

/**
 * A node of a Cluster does not serve the lock (any more, yet, or completely): MOVED, ASK, TRYAGAIN or CLUSTERDOWN.
 * The command was not run.
 */
export class RedirectedError extends Error {
  /** Where to ask instead, and only for now (ASK). */
  get askAt(): string | undefined {
    return /^ASK \d+ (\S+)/.exec(this.message)?.[1];
  }

  /** Another node serves the slot for good. */
  get isMoved(): boolean {
    return this.message.startsWith('MOVED');
  }
}

/** What comes of one script: its reply, or an error: what Redis answered, a {@link SessionLostError}, a {@link RedirectedError}. */
export interface Sending {
  readonly script: ScriptName;
  readonly keys: ScriptKeys;
  readonly args: string[];
  /** For a lock whose slot is on its way to this server: see {@link RedirectedError.askAt}. */
  readonly asking?: boolean;
  /** Both times are of the local clock. */
  replied(reply: string, sentAt: number, receivedAt: number): void;
  failed(error: Error): void;
  /** Asked before the script is sent a second time, because Redis did not know it: false drops it. */
  wanted?(): boolean;
}

/** What a lock sends: its answers, and what became of the rest. */
export interface QueueSending extends Pick<Sending, 'script' | 'keys' | 'args' | 'wanted'> {
  /** Its answer counts also when the lock has gone to another server meanwhile; else it is lost then. */
  readonly countsAfterDetour?: boolean;
  /** Both times are of the local clock. */
  replied(reply: string, sentAt: number, receivedAt: number, session: Session): void;
  /** Redis answered with an error. */
  failed(error: Error): void;
  /** It was lost on the way, or the server does not serve the lock; the lock says again what it still wants. */
  lost?(error: Error): void;
}

/** A server that owes an answer and is silent for this long is given up: a half-open connection never says so itself. */
const LONGEST_SILENCE = 2_000;

/** How long (milliseconds) replicas may take to confirm a grant. Other locks' commands wait behind it. */
const REPLICATION_LIMIT = 500;

/** A channel that nobody waited for in this time (milliseconds) is unsubscribed. */
const QUIET = 30_000;

interface Subscription {
  confirmed: boolean;
  quietSince: number | undefined;
  done: Promise<void>;
}

/**
 * One life of the connection to one server: from the handshake until it breaks. The inbox shares the connection under
 * RESP3, which keeps replies and messages in order, and has one of its own under RESP2. When either breaks, both end.
 */
export class Session {
  readonly clock = new RedisClock();
  private ended = false;
  private outstanding = 0;
  private heardAt = 0;
  private silence: NodeJS.Timeout | undefined;
  private readonly packets: Packets;
  private readonly subscriptions = new Map<string, Subscription>();
  private tidying: NodeJS.Timeout | undefined;

  constructor(
    readonly facts: ServerFacts,
    private readonly commandConnection: Redis,
    private readonly inboxConnection: Redis,
    private readonly localClock: LocalClock,
    private readonly lost: (reason: Error) => void,
  ) {
    this.packets = new Packets(commandConnection);
    for (const connection of this.connections) {
      connection.once('close', () => this.end(new Error('the connection to Redis was closed')));
    }
  }

  get isOver(): boolean {
    return this.ended;
  }

  get connections(): readonly Redis[] {
    const { commandConnection, inboxConnection } = this;
    return inboxConnection === commandConnection ? [commandConnection] : [commandConnection, inboxConnection];
  }

  /** For what is not a script: it goes out after the scripts that were sent before it. */
  private get commands(): Redis {
    this.packets.flush();
    return this.commandConnection;
  }

  private get inbox(): Redis {
    this.packets.flush();
    return this.inboxConnection;
  }

  /** Runs a script by its hash, and once more by its text when Redis does not know it (any more). */
  run(sending: Sending): void {
    this.send('evalsha', sending);
  }

  /** How many replicas have all that this connection wrote so far. Blocks the connection meanwhile. */
  async replicated(replicas: number): Promise<number> {
    // Its answer is a sign of life too: many that wait one behind the other take longer than a server may be silent.
    this.expectAnswer(this.localClock.now());
    try {
      return await this.commands.wait(replicas, REPLICATION_LIMIT);
    } finally {
      this.heard();
    }
  }

  subscribe(channel: string): Promise<unknown> {
    return this.facts.sharded ? this.inbox.ssubscribe(channel) : this.inbox.subscribe(channel);
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.facts.sharded ? this.inbox.sunsubscribe(channel) : this.inbox.unsubscribe(channel);
  }

  /** Whether the server publishes to us on this channel; if so it goes on, for somebody is about to wait. */
  hears(channel: string): boolean {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined) return false;
    subscription.quietSince = undefined;
    return subscription.confirmed;
  }

  /** Subscribes to a channel, once; or waits with those who asked for it before. */
  async hear(channel: string, asking: boolean): Promise<void> {
    const known = this.subscriptions.get(channel);
    if (known !== undefined) {
      known.quietSince = undefined;
      return known.done;
    }
    if (asking) void this.inbox.call('ASKING').catch(() => undefined);
    const subscription: Subscription = { confirmed: false, quietSince: undefined, done: Promise.resolve() };
    this.subscriptions.set(channel, subscription);
    this.expectAnswer(this.localClock.now());
    subscription.done = this.subscribe(channel).then(
      () => {
        this.heard();
        subscription.confirmed = true;
      },
      (error: Error) => {
        this.heard();
        this.subscriptions.delete(channel);
        throw isRedirection(error) ? new RedirectedError(error.message) : this.broken(error);
      },
    );
    return subscription.done;
  }

  /** Nobody waits for messages of this channel any more; soon somebody may. */
  quiet(channel: string): void {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined || this.ended) return;
    subscription.quietSince = this.localClock.now();
    this.tidying ??= setTimeout(() => this.tidy(), QUIET).unref();
  }

  /** The server has ended subscriptions: all have to be made again. */
  forgetSubscriptions(): void {
    this.subscriptions.clear();
  }

  /** Ends all subscriptions, so that nothing more is granted. */
  mute(): void {
    for (const channel of this.subscriptions.keys()) void this.unsubscribe(channel).catch(() => undefined);
    this.subscriptions.clear();
  }

  /** Ends the connections at once. What was sent and not answered fails with a {@link SessionLostError}. */
  end(reason: Error): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.silence);
    clearTimeout(this.tidying);
    this.lost(reason);
    for (const connection of this.connections) disconnect(connection);
  }

  private send(how: ScriptCall, sending: Sending): void {
    const sentAt = this.localClock.now();
    const command = new ScriptCommand(how, sending.script, sending.keys, sending.args);
    this.expectAnswer(sentAt);
    if (sending.asking === true) void this.commands.call('ASKING').catch(() => undefined);
    (this.commandConnection.sendCommand(command, this.packets) as Promise<string>).then(
      (reply) => {
        const receivedAt = this.heard();
        // An error before it in the same packet has ended the session, and everything is said again.
        if (this.ended) sending.failed(new SessionLostError('the connection was given up'));
        else sending.replied(reply, sentAt, receivedAt);
      },
      (error: Error) => {
        this.heard();
        this.fail(how, error, sending);
      },
    );
  }

  private fail(how: ScriptCall, error: Error, sending: Sending): void {
    if (isRedirection(error)) return sending.failed(new RedirectedError(error.message));
    const failure = this.broken(error);
    const isUnknown = failure === error && error.message.startsWith('NOSCRIPT');
    if (how === 'evalsha' && isUnknown && sending.wanted?.() !== false) this.send('eval', sending);
    else sending.failed(failure);
  }

  /** The error itself when it is an answer; else it has ended the session. */
  private broken(error: Error): Error {
    const answered = error.name === 'ReplyError';
    // A replica or a server that is loading can't run any script: look for the master again.
    const useless = /^(READONLY|LOADING|MASTERDOWN|NOAUTH)/.test(error.message);
    if (answered && !useless && !this.ended) return error;
    this.end(error);
    return new SessionLostError(error.message, { cause: error });
  }

  private tidy(): void {
    this.tidying = undefined;
    const now = this.localClock.now();
    for (const [channel, { quietSince }] of this.subscriptions) {
      if (quietSince === undefined) continue;
      if (now - quietSince < QUIET) {
        this.tidying ??= setTimeout(() => this.tidy(), QUIET).unref();
        continue;
      }
      this.subscriptions.delete(channel);
      void this.unsubscribe(channel).catch(() => undefined);
    }
  }

  private expectAnswer(now: number): void {
    this.outstanding += 1;
    if (this.outstanding === 1) this.heardAt = now;
    this.silence ??= setTimeout(() => this.listen(), LONGEST_SILENCE);
  }

  private heard(): number {
    this.outstanding -= 1;
    this.heardAt = this.localClock.now();
    return this.heardAt;
  }

  private listen(): void {
    clearTimeout(this.silence);
    this.silence = undefined;
    if (this.outstanding === 0 || this.ended) return;
    const silent = this.localClock.now() - this.heardAt;
    // Perhaps it was this process that did not listen: what has arrived is read before the next immediate.
    if (silent >= LONGEST_SILENCE) setImmediate(() => this.endIfSilent());
    else this.silence = setTimeout(() => this.listen(), LONGEST_SILENCE - silent);
  }

  private endIfSilent(): void {
    const silent = this.localClock.now() - this.heardAt;
    if (this.outstanding === 0 || this.ended) return;
    if (silent < LONGEST_SILENCE) return this.listen();
    this.end(new Error(`Redis was silent for ${Math.round(silent)} ms`));
  }
}

function isRedirection(error: Error): boolean {
  return /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN) ?/.test(error.message);
}

/** Ends a connection without waiting for the other side, which may be frozen. */
export function disconnect(connection: Redis): void {
  // Also one that has ended already: behind Sentinel its watch for fail-overs has connections of its own.
  connection.disconnect();
  connection.stream?.destroy();
}
