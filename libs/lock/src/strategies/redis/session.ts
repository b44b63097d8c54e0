import { Command, type Redis } from 'ioredis';
import type { LocalClock } from './local-clock.js';
import { RedisClock } from './redis-clock.js';
import { SCRIPTS } from './scripts/scripts.generated.js';
import type { ServerFacts } from './server-facts.js';

export type ScriptName = keyof typeof SCRIPTS;

/** The connection ended: nobody knows whether Redis ran the command. What is still wanted is sent again by the next session. */
export class SessionLostError extends Error {}

/** What comes of one script: its reply, or an error that Redis answered, or a {@link SessionLostError}. */
export interface Sending {
  readonly script: ScriptName;
  readonly keys: readonly string[];
  readonly args: readonly string[];
  replied(reply: string, sentAt: number): void;
  failed(error: Error): void;
  /** Asked before the script is sent a second time, because Redis did not know it: false drops it. */
  wanted?(): boolean;
}

/** Without a bound the client and the server fall into lock-step: one writes while the other waits. */
const COMMANDS_A_PACKET = 16;

/** A server that owes an answer and is silent for this long is given up: a half-open connection never says so itself. */
const LONGEST_SILENCE = 2_000;

/**
 * One life of the connection to one server: from the handshake until it breaks. The inbox shares the connection under
 * RESP3, which keeps replies and messages in order, and has one of its own under RESP2. When either breaks, both end.
 */
export class Session {
  readonly clock = new RedisClock();
  private ended = false;
  private sentThisTick = 0;
  private outstanding = 0;
  private heardAt = 0;
  private silence: NodeJS.Timeout | undefined;

  constructor(
    readonly facts: ServerFacts,
    private readonly commands: Redis,
    private readonly inbox: Redis,
    private readonly localClock: LocalClock,
    private readonly lost: (reason: Error) => void,
  ) {
    for (const connection of this.connections) {
      connection.once('close', () => this.end(new Error('the connection to Redis was closed')));
    }
  }

  get isOver(): boolean {
    return this.ended;
  }

  get connections(): readonly Redis[] {
    return this.inbox === this.commands ? [this.commands] : [this.commands, this.inbox];
  }

  /** Runs a script by its hash, and once more by its text when Redis does not know it (any more). */
  run(sending: Sending): void {
    const { sha } = SCRIPTS[sending.script];
    this.send('evalsha', sha, sending, (error) => {
      if (!error.message.startsWith('NOSCRIPT')) return sending.failed(error);
      if (sending.wanted?.() === false) return sending.failed(error);
      this.send('eval', SCRIPTS[sending.script].source, sending, (second) => sending.failed(second));
    });
  }

  /** How many replicas have all that this connection wrote so far. Blocks the connection meanwhile. */
  replicated(replicas: number, limit: number): Promise<number> {
    return this.commands.wait(replicas, limit);
  }

  subscribe(channel: string): Promise<unknown> {
    return this.facts.sharded ? this.inbox.ssubscribe(channel) : this.inbox.subscribe(channel);
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.facts.sharded ? this.inbox.sunsubscribe(channel) : this.inbox.unsubscribe(channel);
  }

  /** Ends the connections at once. What was sent and not answered fails with a {@link SessionLostError}. */
  end(reason: Error): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.silence);
    this.lost(reason);
    for (const connection of this.connections) disconnect(connection);
  }

  private send(name: string, script: string, sending: Sending, refused: (error: Error) => void): void {
    const sentAt = this.localClock.now();
    const args = [script, String(sending.keys.length), ...sending.keys, ...sending.args];
    const command = new Command(name, args, { replyEncoding: 'utf8' });
    this.expectAnswer(sentAt);
    this.gather();
    (this.commands.sendCommand(command) as Promise<string>).then(
      (reply) => {
        this.heard();
        if (!this.ended) sending.replied(reply, sentAt);
      },
      (error: Error) => {
        this.heard();
        this.fail(error, sending, refused);
      },
    );
  }

  private fail(error: Error, sending: Sending, refused: (error: Error) => void): void {
    const answered = error.name === 'ReplyError';
    // A replica or a server that is loading can't run any script: look for the master again.
    const useless = /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOAUTH)/.test(error.message);
    if (answered && !useless && !this.ended) return refused(error);
    this.end(error);
    sending.failed(new SessionLostError(error.message, { cause: error }));
  }

  /**
   * Node's side of a command is mostly its packet. The first of a tick goes out at once, the others travel together
   * when the tick ends.
   */
  private gather(): void {
    const { stream } = this.commands;
    this.sentThisTick += 1;
    if (this.sentThisTick === 1) {
      process.nextTick(() => {
        if (this.sentThisTick > 1) this.commands.stream.uncork();
        this.sentThisTick = 0;
      });
    } else if (this.sentThisTick === 2) {
      stream.cork();
    } else if (this.sentThisTick % COMMANDS_A_PACKET === 0) {
      stream.uncork();
      stream.cork();
    }
  }

  private expectAnswer(now: number): void {
    this.outstanding += 1;
    if (this.outstanding === 1) this.heardAt = now;
    this.silence ??= setTimeout(() => this.listen(), LONGEST_SILENCE);
  }

  private heard(): void {
    this.outstanding -= 1;
    this.heardAt = this.localClock.now();
  }

  private listen(): void {
    this.silence = undefined;
    if (this.outstanding === 0 || this.ended) return;
    const silent = this.localClock.now() - this.heardAt;
    if (silent >= LONGEST_SILENCE) {
      this.end(new Error(`Redis was silent for ${Math.round(silent)} ms`));
      return;
    }
    this.silence = setTimeout(() => this.listen(), LONGEST_SILENCE - silent);
  }
}

/** Ends a connection without waiting for the other side, which may be frozen. */
export function disconnect(connection: Redis): void {
  connection.disconnect();
  connection.stream?.destroy();
}
