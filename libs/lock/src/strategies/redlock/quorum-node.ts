import type { Redis } from 'ioredis';
import { withinLimit } from './time-limit.js';

/** What a {@link QuorumNode} says to the people who run it. */
export interface NodeLog {
  log(message: string): void;
  warn(message: string): void;
}

/** The node was not even asked: nothing of the question can still arrive there. */
export class NotAskedError extends Error {
  override readonly name = 'NotAskedError';
}

/** How often, in milliseconds, a node that comes and goes is worth a line in the log. */
const LOG_INTERVAL = 60_000;

/** How long the end of a connection may take: a frozen node does not end its side. */
const LONGEST_CLOSE = 1_000;

/**
 * One master: asked one script at a time, each with a limit of its own.
 *
 * A node that let a limit pass is *silent* until it answers anything at all, and is asked nothing meanwhile: or each call
 * would wait for it anew, and commands would pile up for as long as it is frozen. What has to be taken back is still sent
 * to it, on the same connection behind what it takes back.
 */
export class QuorumNode {
  readonly address: string;
  /** Why it can never take part, found out while it answered. */
  unfit: string | undefined;
  private firstAttempt: Promise<void> | undefined;
  private firstAttemptEnded: () => void = () => undefined;
  private usable = false;
  private closed = false;
  /** Counts connections: what an earlier one says late is no sign of life. */
  private session = 0;
  private silentSince: number | undefined;
  private runId: string | undefined;
  private restartSeenAt: number | undefined;
  private lastError = new Error('not connected yet');
  private toldTrouble = false;
  private toldAt = -Infinity;
  private reconnect: NodeJS.Timeout | undefined;

  constructor(
    private readonly connection: Redis,
    private readonly peers: readonly QuorumNode[],
    private readonly logger: NodeLog,
  ) {
    this.address = addressOf(connection);
    connection.on('error', (error: Error) => (this.lastError = error));
    connection.on('ready', () => void this.introduce());
    connection.on('close', () => this.disconnected());
    connection.on('end', () => this.ended());
  }

  /** Begins to connect. Resolves when the first attempt succeeded or failed; it is not given up then. */
  start(): Promise<void> {
    if (this.closed) return Promise.resolve();
    if (this.firstAttempt === undefined) {
      this.firstAttempt = new Promise((resolve) => (this.firstAttemptEnded = resolve));
      // The events tell all that the promise tells.
      this.connection.connect().catch(() => undefined);
    }
    return this.firstAttempt;
  }

  /**
   * Runs a script on the node.
   *
   * @throws {NotAskedError} the node is known to be away: nothing was sent.
   * @throws Error no answer within the limit, in milliseconds, or the node's own error.
   */
  async ask(
    script: string,
    key: string,
    args: readonly (string | number)[],
    limit: number,
  ): Promise<unknown> {
    if (!this.usable) await this.untilFirstAttempt(limit);
    if (!this.usable) throw new NotAskedError(this.unfit ?? this.lastError.message);
    if (this.silentSince !== undefined) {
      const silence = Math.round(performance.now() - this.silentSince);
      throw new NotAskedError(`has not answered for ${silence} ms`);
    }
    return this.send(script, key, args, limit);
  }

  /** Runs a script that takes something back: sent to a silent node too, whose answer nobody waits for. */
  async tell(
    script: string,
    key: string,
    args: readonly (string | number)[],
    limit: number,
  ): Promise<unknown> {
    if (!this.usable) throw new NotAskedError(this.lastError.message);
    const wasSilent = this.silentSince !== undefined;
    const answer = this.send(script, key, args, limit);
    if (!wasSilent) return answer;
    answer.catch(() => undefined);
    throw new Error('silent, so its answer is not waited for');
  }

  /**
   * Why it must not give anybody a lock now, though it answers: it was seen to restart, and may have forgotten who holds
   * it. After `duration`, the lease of whoever that is, it can't matter any more ("delayed restarts" in the
   * specification of Redlock). Processes that were started later don't know of it.
   */
  abstention(duration: number): NotAskedError | undefined {
    if (this.restartSeenAt === undefined) return undefined;
    const age = performance.now() - this.restartSeenAt;
    if (age < duration) {
      return new NotAskedError(
        `restarted ${Math.round(age)} ms ago and may have forgotten who holds the lock; it votes again in ` +
          `${Math.ceil(duration - age)} ms`,
      );
    }
    return undefined;
  }

  /** Ends the connection for good. */
  async close(): Promise<void> {
    this.closed = true;
    this.usable = false;
    clearTimeout(this.reconnect);
    this.firstAttemptEnded();
    const isOpen = ['connecting', 'connect', 'ready'].includes(this.connection.status);
    const end = new Promise<void>((resolve) => this.connection.once('end', resolve));
    this.connection.disconnect();
    if (isOpen) await withinLimit(end, LONGEST_CLOSE, () => new Error()).catch(() => undefined);
  }

  private send(
    script: string,
    key: string,
    args: readonly (string | number)[],
    limit: number,
  ): Promise<unknown> {
    const { session } = this;
    const sentAt = performance.now();
    const reply = this.connection.eval(script, 1, key, ...args);
    reply.then(
      () => this.heard(session),
      (error: Error) => {
        if (error.name === 'ReplyError') this.heard(session);
        // Of `commandTimeout`: the connection itself may be dead, which TCP alone finds out after a quarter of an hour.
        else if (error.message === 'Command timed out') this.reconnectFrom(session);
      },
    );
    return withinLimit(reply, limit, () => {
      if (session === this.session) this.fallSilent(sentAt, limit);
      return new Error(`no answer within ${Math.round(limit)} ms`);
    });
  }

  private heard(session: number): void {
    if (session !== this.session || this.silentSince === undefined) return;
    this.silentSince = undefined;
    this.tellEnd();
  }

  private fallSilent(sentAt: number, limit: number): void {
    if (this.silentSince !== undefined || !this.usable) return;
    this.silentSince = sentAt;
    this.tellTrouble(`does not answer within ${Math.round(limit)} ms`);
  }

  private async untilFirstAttempt(limit: number): Promise<void> {
    const late = (): Error => new Error();
    await withinLimit(this.start(), limit, late).catch(() => undefined);
  }

  /** Before a connection is used: is it a server that forgot, or one that votes already? */
  private async introduce(): Promise<void> {
    this.session += 1;
    const { session } = this;
    let info: string;
    try {
      info = await this.connection.info();
    } catch (error) {
      if ((error as Error).name !== 'ReplyError') {
        this.reconnectFrom(session);
        return;
      }
      // An ACL forbids to ask.
      info = '';
    }
    if (session !== this.session || this.closed) return;
    this.remember(info);
    this.usable = this.unfit === undefined;
    this.silentSince = undefined;
    this.firstAttemptEnded();
    if (this.usable) this.tellEnd();
  }

  private remember(info: string): void {
    const runId = fieldOf(info, 'run_id');
    if (this.runId !== undefined && runId !== undefined && this.runId !== runId) {
      this.restartSeenAt = performance.now();
    }
    this.runId = runId ?? this.runId;
    const twin = this.peers.find(
      (peer) => peer !== this && peer.runId !== undefined && peer.runId === this.runId,
    );
    this.unfit = twin === undefined ? undefined : `is the same server as ${twin.address}, which has one vote`;
    if (this.unfit !== undefined) this.tellTrouble(this.unfit);
    const policy = fieldOf(info, 'maxmemory_policy') ?? 'noeviction';
    if (policy !== 'noeviction' && fieldOf(info, 'maxmemory') !== '0') {
      this.logger.warn(
        `The lock's node ${this.address} drops keys when its memory is full (maxmemory-policy ${policy}), locks ` +
          'included. Set maxmemory-policy to noeviction, or use servers of their own for locks.',
      );
    }
  }

  private reconnectFrom(session: number): void {
    if (session !== this.session || this.closed) return;
    this.session += 1;
    this.usable = false;
    this.connection.disconnect(true);
  }

  private disconnected(): void {
    this.session += 1;
    this.usable = false;
    this.silentSince = undefined;
    this.firstAttemptEnded();
    this.tellTrouble(`can't be reached: ${this.lastError.message}`);
  }

  /** ioredis gave up, as it does when no Sentinel answers. */
  private ended(): void {
    if (this.closed) return;
    this.disconnected();
    this.reconnect = setTimeout(() => {
      this.connection.connect().catch(() => undefined);
    }, 1_000);
  }

  private tellTrouble(what: string): void {
    if (this.closed || this.toldTrouble || performance.now() - this.toldAt < LOG_INTERVAL) return;
    this.toldTrouble = true;
    this.toldAt = performance.now();
    this.logger.warn(`The lock's node ${this.address} ${what}. The others decide while they are a majority.`);
  }

  private tellEnd(): void {
    if (!this.toldTrouble) return;
    this.toldTrouble = false;
    this.logger.log(`The lock's node ${this.address} answers again.`);
  }
}

/** Where it is, without a password. */
function addressOf({ options }: Redis): string {
  if (options.sentinels) return `Sentinel ${options.name ?? ''}`.trim();
  return options.path ?? `${options.host ?? 'localhost'}:${options.port ?? 6379}`;
}

function fieldOf(info: string, field: string): string | undefined {
  return new RegExp(`^${field}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
