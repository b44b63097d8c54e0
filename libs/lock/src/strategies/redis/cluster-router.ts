import { Logger } from '@nestjs/common';
import { Command, type Cluster, type Redis } from 'ioredis';
import { LockConfigurationError } from '../../locking/lock-error.js';
import { nodeConnection, type ClusterSource } from './connection-source.js';
import { Link } from './link.js';
import type { LockKeys } from './lock-keys.js';
import type { Router, RouterSettings, RouterUser } from './router.js';

/** Between two looks at the cluster's slots: nodes need a moment to agree on who serves one. */
const REFRESH_PAUSE = 50;

/** Milliseconds after which a first attempt has failed, for all that an application's start has to know. */
const LONGEST_START = 5_000;

/**
 * A Cluster: one link to each master. ioredis' Cluster tells the topology (it knows NAT, DNS and TLS) and nothing else:
 * it sends commands again by itself, which a lock can't bear.
 */
export class ClusterRouter implements Router {
  lastError: Error | undefined;
  private readonly links = new Map<string, Link>();
  private readonly logger = new Logger('RedisLock');
  private readonly topology: Cluster;
  private started: Promise<void> | undefined;
  private refreshing: NodeJS.Timeout | undefined;
  private closed = false;
  private endAttempt: () => void = () => undefined;

  constructor(
    source: ClusterSource,
    private readonly settings: RouterSettings,
    private readonly user: RouterUser,
  ) {
    this.topology = source.topology();
    this.topology.on('error', (error: Error) => {
      const reason = (error as { lastNodeError?: Error }).lastNodeError ?? error;
      this.lastError = reason;
    });
    this.topology.on('ready', () => this.update());
    this.topology.on('+node', () => this.update());
  }

  get isDown(): boolean {
    return this.links.size === 0
      ? this.lastError !== undefined
      : [...this.links.values()].every((l) => l.isDown);
  }

  start(): Promise<void> {
    this.started ??= this.attempt().then(async () => {
      await Promise.all([...this.links.values()].map((link) => link.start()));
    });
    return this.started;
  }

  linkOf({ state }: LockKeys): Link | undefined {
    const slot = new Command('get', [state]).getSlot();
    const master = slot === null ? undefined : this.topology.slots[slot]?.[0];
    return master === undefined ? undefined : this.links.get(master);
  }

  linkAt(address: string): Link | undefined {
    return this.links.get(address);
  }

  refresh(): void {
    if (this.closed) return;
    this.refreshing ??= setTimeout(() => {
      this.topology.refreshSlotsCache((error) => {
        this.refreshing = undefined;
        if (error) this.lastError = error;
        if (!this.closed) this.update();
      });
    }, REFRESH_PAUSE);
  }

  wireOf({ state }: LockKeys): string {
    return `S${state}:inbox:`;
  }

  channelOf({ state }: LockKeys): string {
    return `${state}:inbox:${this.settings.instance}`;
  }

  mute(): void {
    for (const link of this.links.values()) link.session?.mute();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.refreshing);
    this.endAttempt();
    for (const link of this.links.values()) link.close();
    this.topology.disconnect();
  }

  /**
   * Resolves when the topology is known, or could not be had at first; ioredis goes on trying, and says when it is ready.
   * Its promise alone is no answer: it is never settled when a node calls the cluster down.
   */
  private attempt(): Promise<void> {
    return new Promise((resolve) => {
      const limit = setTimeout(
        () => fail(new Error('it is not ready: does a master not serve its slots?')),
        LONGEST_START,
      );
      const end = (): void => {
        clearTimeout(limit);
        resolve();
      };
      const fail = (error: Error): void => {
        if (this.links.size === 0) this.lastError ??= error;
        end();
      };
      this.endAttempt = end;
      this.topology.once('ready', end);
      this.topology.connect().catch(fail);
    });
  }

  private update(): void {
    for (const node of this.topology.nodes('master')) {
      const address = `${node.options.host}:${node.options.port}`;
      if (!this.links.has(address)) this.addLink(address, node);
    }
    this.user.rerouted();
  }

  private addLink(address: string, node: Redis): void {
    const link: Link = new Link(
      {
        address,
        connection: () => nodeConnection(node),
        afterRestart: this.settings.afterRestart,
        channels: [],
        cluster: true,
        logger: this.logger,
        localClock: this.settings.clock,
      },
      {
        opened: () => this.user.opened(link),
        lost: () => {
          this.user.lost(link);
          this.refresh();
        },
        failed: (error) => this.linkFailed(address, link, error),
        unsubscribed: () => this.user.unsubscribed(link),
        received: (message) => this.user.received(message),
      },
    );
    this.links.set(address, link);
    void link.start();
  }

  /** A node that is no master any more is forgotten; one that is, is tried again. */
  private linkFailed(address: string, link: Link, error: Error): void {
    if (error instanceof LockConfigurationError) this.lastError = error;
    const masters = new Set(this.topology.slots.map((nodes) => nodes[0]));
    if (!masters.has(address)) {
      this.links.delete(address);
      link.close();
    }
    this.refresh();
  }
}
