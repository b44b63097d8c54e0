import { Logger } from '@nestjs/common';
import type { ConnectionSource } from './connection-source.js';
import { Link } from './link.js';
import type { Router, RouterSettings, RouterUser } from './router.js';
import type { Session } from './session.js';

/** One server, or the master that Sentinel names: one link, and one inbox for all locks. */
export class SingleRouter implements Router {
  private readonly link: Link;
  private readonly channels: string;
  private readonly inbox: string;

  constructor(source: ConnectionSource, settings: RouterSettings, user: RouterUser) {
    this.channels = `${settings.prefix}inbox:`;
    this.inbox = this.channels + settings.instance;
    this.link = new Link(
      {
        address: source.address,
        connection: () => source.connection(),
        afterRestart: settings.afterRestart,
        channels: [this.inbox],
        cluster: false,
        logger: new Logger('RedisLock'),
        localClock: settings.clock,
      },
      {
        opened: () => user.opened(this.link),
        lost: () => user.lost(this.link),
        failed: () => undefined,
        // Nothing but a slot that moves does that, and here are none: the session is not what it should be.
        unsubscribed: () => this.link.session?.end(new Error('the inbox was unsubscribed')),
        received: (message) => user.received(message),
      },
    );
  }

  get lastError(): Error | undefined {
    return this.link.lastError;
  }

  get isDown(): boolean {
    return this.link.isDown;
  }

  start(): Promise<void> {
    return this.link.start();
  }

  linkOf(): Link {
    return this.link;
  }

  linkAt(): undefined {
    return undefined;
  }

  refresh(): void {}

  wireOf(_keys: unknown, session: Session): string {
    return (session.facts.sharded ? 'S' : 'P') + this.channels;
  }

  channelOf(): undefined {
    return undefined;
  }

  mute(): void {
    void this.link.session?.unsubscribe(this.inbox).catch(() => undefined);
  }

  close(): void {
    this.link.close();
  }
}
