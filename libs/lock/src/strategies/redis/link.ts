import type { Logger } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { LocalClock } from './local-clock.js';
import { sixteenDigits } from './replies.js';
import { SCRIPTS } from './scripts/scripts.generated.js';
import { askServer, type ServerFacts } from './server-facts.js';
import { disconnect, Session } from './session.js';

/** Who uses a link. */
export interface LinkUser {
  /** A session begins: say again all that is still wanted. */
  opened(): void;
  /** The session ended: nobody knows what became of what was sent. */
  lost(): void;
  /** An attempt to connect failed; the next one follows. */
  failed(error: Error): void;
  /** The server ended subscriptions by itself: a slot has moved. */
  unsubscribed(): void;
  /** A message of the inbox. */
  received(message: string): void;
}

/**
 * When a server that has just started is taken to have forgotten who holds what.
 * - `seen`: when this instance saw it restart.
 * - `always`: whenever it is younger than a lease.
 */
export type AfterRestart = 'seen' | 'always';

export interface LinkSettings {
  /** Where to, for log lines. */
  readonly address: string;
  connection(): Redis;
  /** Channels to hear from the start: the instance's inbox, where one serves all locks. */
  readonly channels: readonly string[];
  /** Whether the server has to be a node of a Cluster, or must not be one. */
  readonly cluster: boolean;
  readonly afterRestart: AfterRestart;
  readonly logger: Logger;
  readonly localClock: LocalClock;
}

const SHORTEST_PAUSE = 20;
const LONGEST_PAUSE = 1_000;
/** A frozen server accepts connections (its kernel does) and never answers the handshake. */
const LONGEST_HANDSHAKE = 5_000;

/** Keeps a session to one server open: connects, and connects again for as long as it takes. */
export class Link {
  session: Session | undefined;
  /** Why there is no session; undefined before the first attempt ended, and while a session is open. */
  lastError: Error | undefined;
  private readonly firstAttempt: Promise<void>;
  private firstAttemptEnded: () => void = () => undefined;
  private closed = false;
  private failures = 0;
  private pause: NodeJS.Timeout | undefined;
  private opening: readonly Redis[] = [];
  private previous: ServerFacts['client'][] = [];
  private runId: string | undefined;
  /** Milliseconds of Redis' clock at which the server started, where it may have forgotten who holds what. */
  private distrustedStart: number | undefined;

  constructor(
    private readonly settings: LinkSettings,
    private readonly user: LinkUser,
  ) {
    this.firstAttempt = new Promise((resolve) => (this.firstAttemptEnded = resolve));
  }

  /** Whether Redis could not be reached when it was last tried. */
  get isDown(): boolean {
    return this.failures > 0;
  }

  /**
   * Microseconds of Redis' clock before which a lock must have been used for its state to be trusted; undefined when
   * the server is old enough for every lease (of these places) to have ended since.
   */
  distrusts(longestLease: number): string | undefined {
    const { session, settings } = this;
    if (session === undefined || this.distrustedStart === undefined) return undefined;
    const now = session.clock.latest(settings.localClock.now());
    if (now !== undefined && now - this.distrustedStart > longestLease) return undefined;
    return sixteenDigits(this.distrustedStart * 1_000);
  }

  /** Begins to connect. Resolves when the first attempt succeeded or failed; it is not given up then. */
  start(): Promise<void> {
    if (this.opening.length === 0 && this.session === undefined && this.pause === undefined) this.attempt();
    return this.firstAttempt;
  }

  /** Ends the connection for good. */
  close(): void {
    this.closed = true;
    clearTimeout(this.pause);
    this.firstAttemptEnded();
    this.opening.forEach(disconnect);
    this.session?.end(new Error('the lock was closed'));
  }

  private attempt(): void {
    this.pause = undefined;
    if (this.closed) return;
    void this.open()
      .then(
        (session) => this.opened(session),
        (error: Error) => this.failed(error),
      )
      .finally(() => this.firstAttemptEnded());
  }

  private async open(): Promise<Session> {
    const heard: Error[] = [];
    const opening: Redis[] = [];
    this.opening = opening;
    const connect = async (): Promise<Redis> => {
      const connection = this.settings.connection();
      opening.push(connection);
      // The event tells why (ECONNREFUSED, WRONGPASS); the rejection only says that the connection is closed.
      connection.on('error', (error: Error) => heard.push(error));
      await connection.connect();
      return connection;
    };
    const limit = setTimeout(() => {
      heard.push(new Error(`no answer for ${LONGEST_HANDSHAKE} ms`));
      opening.forEach(disconnect);
    }, LONGEST_HANDSHAKE);
    try {
      return await this.shakeHands(connect);
    } catch (error) {
      opening.forEach(disconnect);
      throw error instanceof LockConfigurationError ? error : (heard[0] ?? error);
    } finally {
      clearTimeout(limit);
      this.opening = [];
    }
  }

  private async shakeHands(connect: () => Promise<Redis>): Promise<Session> {
    const { localClock, channels, cluster } = this.settings;
    const commands = await connect();
    const askedAt = localClock.now();
    const facts = await askServer(commands);
    if (facts.isCluster !== cluster) throw wrongKind(cluster);
    if (cluster && !facts.sharded) throw tooOldForCluster();
    let inbox = commands;
    const clients = [facts.client];
    if (!facts.resp3) {
      inbox = await connect();
      const inboxFacts = await askServer(inbox);
      clients.push(inboxFacts.client);
      if (inboxFacts.runId !== facts.runId) throw new Error('the two connections reached different servers');
    }
    const session = new Session(facts, commands, inbox, localClock, (reason) => this.lost(reason));
    session.clock.observe(facts.now, askedAt, localClock.now());
    inbox.on(facts.sharded ? 'smessage' : 'message', (_channel: string, message: string) => {
      if (!session.isOver) this.user.received(message);
    });
    inbox.on('moved', () => {
      if (!session.isOver) this.user.unsubscribed();
    });
    try {
      await Promise.all([...channels.map((channel) => session.subscribe(channel)), this.prepare(commands)]);
    } catch (error) {
      session.end(error as Error);
      throw error;
    }
    if (session.isOver) throw new Error('the connection was closed during the handshake');
    this.previous = clients;
    return session;
  }

  /**
   * Commands of the last session may still lie in the server's buffers and would make grants that nobody expects: its
   * connections are ended on the server, by id and address, so that a restarted server's client of that id is not hit.
   * The scripts are loaded, so that the first calls need not be sent twice. Both may be forbidden by an ACL, and both
   * are only shortcuts.
   */
  private async prepare(connection: Redis): Promise<void> {
    const ended = this.previous.map((client) =>
      client === undefined
        ? undefined
        : connection.call('CLIENT', 'KILL', 'ID', client.id, 'ADDR', client.address),
    );
    const loaded = Object.values(SCRIPTS).map(({ source }) => connection.script('LOAD', source));
    await Promise.all(
      [...ended, ...loaded].map((command) =>
        Promise.resolve<unknown>(command).catch((error: Error) => {
          if (error.name !== 'ReplyError') throw error;
        }),
      ),
    );
  }

  private opened(session: Session): void {
    if (this.closed) return session.end(new Error('the lock was closed'));
    if (this.failures > 0) this.settings.logger.log(`Redis (${this.settings.address}) is back.`);
    this.failures = 0;
    this.lastError = undefined;
    this.session = session;
    this.noteServer(session.facts);
    this.user.opened();
  }

  private noteServer({ runId, startedAt }: ServerFacts): void {
    const changed = this.runId !== undefined && runId !== this.runId;
    if (changed || this.settings.afterRestart === 'always') this.distrustedStart = startedAt;
    this.runId = runId;
  }

  private lost(reason: Error): void {
    if (this.session === undefined) return;
    this.session = undefined;
    if (this.closed) return;
    this.lastError = reason;
    this.user.lost();
    this.pause = setTimeout(() => this.attempt(), Math.random() * SHORTEST_PAUSE);
  }

  /** Says so once, and tries again after a pause that grows. */
  private failed(error: Error): void {
    if (this.closed) return;
    this.lastError = error;
    this.failures += 1;
    if (this.failures === 1) {
      this.settings.logger.warn(
        `Redis (${this.settings.address}) can't be reached: ${error.message.replace(/\.$/, '')}. ` +
          'Calls wait for it up to their waitTime; connecting again until it is back.',
      );
    }
    const longest = Math.min(SHORTEST_PAUSE * 2 ** Math.min(this.failures - 1, 10), LONGEST_PAUSE);
    this.pause = setTimeout(() => this.attempt(), longest * (0.5 + Math.random() / 2));
    this.user.failed(error);
  }
}

function tooOldForCluster(): LockConfigurationError {
  return new LockConfigurationError(
    'redisLock: on a Cluster the lock needs sharded channels, which Redis has since version 7. Use a newer Redis.',
  );
}

function wrongKind(wanted: boolean): LockConfigurationError {
  return new LockConfigurationError(
    wanted
      ? 'redisLock: the client is a Cluster, but the server is not a node of one. Hand in a Redis client instead.'
      : 'redisLock: the server is a node of a Cluster. Hand in `client: new Cluster([…])` of ioredis instead.',
  );
}
