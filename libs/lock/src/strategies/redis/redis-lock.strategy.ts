import { LockConfigurationError, LockShutdownError, LockUnavailableError } from '../../locking/lock-error.js';
import {
  LockStrategy,
  type LockInspection,
  type LockRequest,
  type LockTraits,
  type StrategyLease,
} from '../../locking/lock-strategy.js';
import { ClusterRouter } from './cluster-router.js';
import type { ClusterSource, ConnectionSource } from './connection-source.js';
import { newInstanceId } from './instance-id.js';
import { LeaseRenewal } from './lease-renewal.js';
import type { AfterRestart, Link } from './link.js';
import { LocalClock } from './local-clock.js';
import { LocalQueue, type QueueOwner } from './local-queue.js';
import { lockKeys, keysOfState, stateKey } from './lock-keys.js';
import { inspectionOf } from './lock-inspection.js';
import { messageOf, ReplyCode, wantsSweep } from './replies.js';
import type { Router, RouterSettings, RouterUser } from './router.js';
import type { ScriptName } from './script-command.js';
import { RedirectedError, type Session } from './session.js';
import { SingleRouter } from './single-router.js';
import { WaitLimits } from './wait-limits.js';

/** Where Redis is. */
export type RedisPlace =
  | { readonly cluster: false; readonly source: ConnectionSource }
  | { readonly cluster: true; readonly source: ClusterSource };

/** The options of a {@link RedisLockStrategy}, checked. */
export type RedisLockSettings = RedisPlace & {
  readonly strategy: string;
  readonly prefix: string;
  readonly resources: readonly string[] | undefined;
  readonly bypass: number;
  readonly replicas: number;
  readonly afterRestart: AfterRestart;
  readonly shutdownTimeout: number;
};

/** So many locks that nobody uses just now are remembered, about half a kilobyte each. */
const MOST_IDLE_QUEUES = 256;

/** How long the shut-down waits for Redis to confirm what was released. */
const LAST_WORDS = 1_000;

/** The FIFO queue with direct hand-off: docs/redis-lock.md tells the protocol, scripts/ has Redis' side of it. */
export class RedisLockStrategy extends LockStrategy {
  override readonly traits: LockTraits;
  private readonly instance = newInstanceId();
  private readonly clock = new LocalClock();
  private readonly renewal = new LeaseRenewal(this.clock);
  private readonly waitLimits = new WaitLimits(this.clock);
  private readonly queues = new Map<string, LocalQueue>();
  /** Those of them that were idle, the one that was so first; some may be in use again. */
  private readonly rested = new Set<LocalQueue>();
  private readonly owner: QueueOwner;
  private readonly watchers = new Set<() => void>();
  private readonly router: Router;
  private readonly prefix: string;
  private seq = 0;
  private draining = false;

  constructor(
    private readonly settings: RedisLockSettings,
    override readonly resources = settings.resources,
  ) {
    super();
    const { afterRestart, strategy, bypass, replicas } = settings;
    const { instance, clock, renewal, waitLimits } = this;
    this.traits = { scope: 'shared', order: bypass === 0 ? 'strict' : 'process', fencing: true };
    this.prefix = settings.source.keyPrefix + settings.prefix;
    this.router = routerFor(
      settings,
      { afterRestart, clock, instance, prefix: this.prefix },
      this.routerUser(),
    );
    this.owner = {
      strategy,
      instance,
      clock,
      renewal,
      waitLimits,
      bypass,
      replicas,
      router: this.router,
      nextSeq: () => ++this.seq,
      idle: (queue) => this.rest(queue),
      changed: () => this.changed(),
    };
  }

  override async connect(): Promise<void> {
    await this.router.start();
    if (this.router.lastError instanceof LockConfigurationError) throw this.router.lastError;
  }

  override acquire(request: LockRequest): Promise<StrategyLease> {
    const { name, signal } = request;
    if (this.draining) return Promise.reject(this.shutdownError(name));
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const { lastError } = this.router;
    if (lastError instanceof LockConfigurationError) return Promise.reject(lastError);
    if (request.waitTime === 0 && this.router.isDown) return Promise.reject(this.unavailable(name));
    void this.router.start();
    return this.queueOf(name).acquire(request);
  }

  override async inspect(name: string): Promise<LockInspection> {
    const { reply } = await this.once('inspect', name, () => []);
    return inspectionOf(name, reply);
  }

  override async forceRelease(name: string): Promise<boolean> {
    const keys = lockKeys(this.prefix, name);
    const { reply, sentAt, receivedAt } = await this.once('forceRelease', name, (session) => [
      this.instance,
      this.router.wireOf(keys, session),
    ]);
    if (reply.startsWith(ReplyCode.GRANTED)) {
      this.queueOf(name).takeReplied(reply, sentAt, receivedAt);
    }
    if (wantsSweep(reply)) this.queueOf(name).sweepSoon();
    return !reply.startsWith(ReplyCode.NOT_YOURS);
  }

  override async drain(): Promise<void> {
    this.draining = true;
    // Without a subscriber nobody grants this instance anything more.
    this.router.mute();
    this.eachQueue((queue) => queue.shutDown());
    const until = this.clock.now() + this.settings.shutdownTimeout;
    await this.until(() => ![...this.queues.values()].some((queue) => queue.isHeld), until);
  }

  override async close(): Promise<void> {
    this.draining = true;
    this.eachQueue((queue) => queue.shutDown());
    this.renewal.close();
    this.eachQueue((queue) => void queue.close());
    const until = this.clock.now() + LAST_WORDS;
    const isSilent = (queue: LocalQueue): boolean => queue.isIdle || queue.session === undefined;
    await this.until(() => [...this.queues.values()].every(isSilent), until);
    this.router.close();
    this.eachQueue((queue) => queue.forget());
    this.queues.clear();
    this.rested.clear();
    this.waitLimits.close();
  }

  private routerUser(): RouterUser {
    const queuesOf = (link: Link): readonly LocalQueue[] =>
      [...this.queues.values()].filter((queue) => queue.route.link === link);
    return {
      opened: (link) => queuesOf(link).forEach((queue) => queue.resume()),
      lost: (link) => {
        queuesOf(link).forEach((queue) => queue.disconnected());
        this.changed();
      },
      unsubscribed: (link) => {
        link.session?.forgetSubscriptions();
        queuesOf(link).forEach((queue) => queue.queueAgain());
      },
      received: (message) => this.receive(message),
      rerouted: () => this.eachQueue((queue) => queue.route.refresh()),
    };
  }

  private queueOf(name: string): LocalQueue {
    return this.queueFor(stateKey(this.prefix, name), name);
  }

  private queueFor(state: string, name: string): LocalQueue {
    let queue = this.queues.get(state);
    if (queue === undefined) {
      queue = new LocalQueue(name, keysOfState(state), this.owner);
      this.queues.set(state, queue);
    }
    return queue;
  }

  /** Kept for the next call: to make a queue costs more than a lock that is free. */
  private rest(queue: LocalQueue): void {
    this.rested.add(queue);
    if (this.rested.size <= MOST_IDLE_QUEUES) return;
    const [first] = this.rested;
    if (first === undefined) return;
    this.rested.delete(first);
    const { state } = first.keys;
    if (first.isIdle && this.queues.get(state) === first) this.queues.delete(state);
  }

  private receive(message: string): void {
    const { key, body } = messageOf(message);
    // A grant that nobody here asked for (any more) is taken all the same, and so handed on.
    if (this.queues.has(key) || body.startsWith(ReplyCode.GRANTED)) this.queueFor(key, key).receive(body);
  }

  private eachQueue(visit: (queue: LocalQueue) => void): void {
    for (const queue of [...this.queues.values()]) visit(queue);
  }

  /** One script for people, not for a call that waits: sent once, never again. */
  private async once(
    script: ScriptName,
    name: string,
    args: (session: Session) => string[],
  ): Promise<{ readonly reply: string; readonly sentAt: number; readonly receivedAt: number }> {
    await this.router.start();
    const keys = lockKeys(this.prefix, name);
    const session = this.router.linkOf(keys)?.session;
    if (session === undefined) throw this.unavailable(name);
    return new Promise((resolve, reject) => {
      session.run({
        script,
        keys: keys.both,
        args: args(session),
        replied: (reply, sentAt, receivedAt) => resolve({ reply, sentAt, receivedAt }),
        failed: (cause) => {
          if (cause instanceof RedirectedError) this.router.refresh();
          reject(this.unavailable(name, cause));
        },
      });
    });
  }

  /** Resolves when it has become so, or at that local time. */
  private until(isSo: () => boolean, limit: number): Promise<void> {
    if (isSo()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.watchers.delete(watcher);
        resolve();
      };
      const timer = setTimeout(done, limit - this.clock.now());
      const watcher = (): void => void (isSo() && done());
      this.watchers.add(watcher);
    });
  }

  private changed(): void {
    if (this.watchers.size === 0) return;
    for (const watcher of [...this.watchers]) watcher();
  }

  private shutdownError(name: string): LockShutdownError {
    return new LockShutdownError(`The application is shutting down and takes no lock on "${name}".`, {
      key: name,
      strategy: this.settings.strategy,
    });
  }

  private unavailable(name: string, cause = this.router.lastError): LockUnavailableError {
    const reason = cause?.message ?? 'it is still being connected to';
    return new LockUnavailableError(
      `Redis can't be reached (${reason}). Check the address, and whether Redis runs.`,
      { key: name, strategy: this.settings.strategy, cause },
    );
  }
}

function routerFor(place: RedisPlace, settings: RouterSettings, user: RouterUser): Router {
  return place.cluster
    ? new ClusterRouter(place.source, settings, user)
    : new SingleRouter(place.source, settings, user);
}
