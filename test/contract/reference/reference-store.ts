import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { onLine } from './lines';
import type { Flaw } from './flaw';

/** From a client to the store: one line of JSON each. `id` comes back with the reply. */
export interface StoreCommand {
  readonly id: number;
  readonly do: 'acquire' | 'cancel' | 'extend' | 'release' | 'forceRelease' | 'inspect' | 'flaw';
  readonly name: string;
  /** With `acquire` the lease, with `extend` the time that it has to last. */
  readonly duration?: number;
  /** With `acquire` whether to wait. */
  readonly wait?: boolean;
  readonly token?: number;
  /** With `cancel` the id of the `acquire`. */
  readonly cancelled?: number;
}

export interface StoreReply {
  readonly id: number;
  readonly done: boolean;
  readonly token?: number;
  readonly waiters?: number;
  readonly flaw?: Flaw;
}

interface Waiter {
  readonly id: number;
  readonly client: Socket;
  readonly lease: number;
}

interface LockState {
  holder: { readonly token: number; readonly client: Socket; lapse: NodeJS.Timeout | undefined } | undefined;
  readonly queue: Waiter[];
}

/**
 * A lock server of a few lines, which lives in the test's own process: leases that lapse, a queue, tokens. Right, or
 * with one flaw, which its clients have too.
 */
export class ReferenceStore {
  private readonly server: Server;
  private readonly clients = new Set<Socket>();
  private readonly locks = new Map<string, LockState>();
  private lastToken = 0;

  constructor(public flaw?: Flaw) {
    this.server = createServer((client) => this.serve(client));
  }

  async open(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.destroy();
    for (const { holder } of this.locks.values()) clearTimeout(holder?.lapse);
    this.server.close();
    await once(this.server, 'close');
  }

  private serve(client: Socket): void {
    this.clients.add(client);
    client.on('close', () => this.forget(client));
    onLine(client, (line) => {
      const command = JSON.parse(line) as StoreCommand;
      const reply = this.answer({ ...command, name: this.nameOf(command.name) }, client);
      if (reply !== undefined) this.reply(client, { id: command.id, ...reply });
    });
  }

  private answer(command: StoreCommand, client: Socket): Omit<StoreReply, 'id'> | undefined {
    switch (command.do) {
      case 'acquire':
        return this.acquire(command, client);
      case 'cancel':
        return this.cancel(command);
      case 'extend':
        return { done: this.extend(command) };
      case 'release':
        return { done: this.release(command) };
      case 'forceRelease':
        return {
          done:
            this.forceRelease(command.name) || this.flaw === 'says that it took a lock away when it did not',
        };
      case 'flaw':
        return { done: true, flaw: this.flaw };
      case 'inspect': {
        const lock = this.lockOf(command.name);
        return { done: lock.holder !== undefined, token: lock.holder?.token, waiters: lock.queue.length };
      }
    }
  }

  private acquire(
    { id, name, duration = 0, wait }: StoreCommand,
    client: Socket,
  ): Omit<StoreReply, 'id'> | undefined {
    const lock = this.lockOf(name);
    const again = this.flaw === 'lets the holder in again' && lock.holder?.client === client;
    if (this.flaw === 'lets everybody in' || again) return { done: true, token: this.nextToken() };
    if (lock.holder === undefined) return { done: true, token: this.grant(name, lock, client, duration) };
    if (wait !== true) return { done: false };
    lock.queue.push({ id, client, lease: duration });
    return undefined;
  }

  private cancel({ name, cancelled }: StoreCommand): Omit<StoreReply, 'id'> {
    const { queue } = this.lockOf(name);
    const place = queue.findIndex(({ id }) => id === cancelled);
    if (place >= 0) queue.splice(place, 1);
    return { done: place >= 0 };
  }

  private extend({ name, token, duration = 0 }: StoreCommand): boolean {
    const lock = this.lockOf(name);
    if (this.flaw === 'extends a lease for whoever asks') return true;
    if (lock.holder === undefined || lock.holder.token !== token) return false;
    clearTimeout(lock.holder.lapse);
    lock.holder.lapse = this.lapseAfter(duration, name, lock);
    return true;
  }

  private release({ name, token }: StoreCommand): boolean {
    const lock = this.lockOf(name);
    const isTheirs = lock.holder?.token === token || this.flaw === 'takes back a lock from whoever holds it';
    if (isTheirs) this.handOn(name, lock);
    return isTheirs;
  }

  private forceRelease(name: string): boolean {
    const lock = this.lockOf(name);
    if (lock.holder === undefined) return false;
    this.handOn(name, lock);
    return true;
  }

  private grant(name: string, lock: LockState, client: Socket, lease: number): number {
    const token = this.nextToken();
    lock.holder = { token, client, lapse: this.lapseAfter(lease, name, lock) };
    return token;
  }

  private handOn(name: string, lock: LockState): void {
    clearTimeout(lock.holder?.lapse);
    lock.holder = undefined;
    const next = this.flaw === 'serves the last first' ? lock.queue.pop() : lock.queue.shift();
    if (next === undefined || this.flaw === 'never gives a lock to the next') return;
    this.reply(next.client, {
      id: next.id,
      done: true,
      token: this.grant(name, lock, next.client, next.lease),
    });
  }

  private lapseAfter(lease: number, name: string, lock: LockState): NodeJS.Timeout | undefined {
    if (this.flaw === 'never ends a lease') return undefined;
    const factor = this.flaw === 'ends leases too early' ? 0.4 : 1;
    return setTimeout(() => this.handOn(name, lock), lease * factor);
  }

  private forget(client: Socket): void {
    this.clients.delete(client);
    for (const [name, lock] of this.locks) {
      if (this.flaw === 'keeps the place of the dead') continue;
      const before = lock.queue.length;
      const living = lock.queue.filter((waiter) => waiter.client !== client);
      lock.queue.splice(0, before, ...living);
      const early = this.flaw === 'hands on to a waiter while the lock is held, once somebody died';
      if (early && living.length < before) this.handOn(name, lock);
    }
  }

  private nextToken(): number {
    if (this.flaw === 'gives every holder the same token') return 1;
    this.lastToken += this.flaw === 'gives tokens without an order' ? -1 : 1;
    return this.lastToken;
  }

  private nameOf(name: string): string {
    switch (this.flaw) {
      case 'has one lock for all names':
        return 'all';
      case 'ignores case in names':
        return name.toLowerCase();
      case 'ignores what comes after 255 characters':
        return name.slice(0, 255);
      case 'ignores spaces at the end of names':
        return name.trimEnd();
      case 'ignores how a letter is written in Unicode':
        return name.normalize();
      default:
        return name;
    }
  }

  private lockOf(name: string): LockState {
    const lock = this.locks.get(name) ?? { holder: undefined, queue: [] };
    this.locks.set(name, lock);
    return lock;
  }

  private reply(client: Socket, reply: StoreReply): void {
    if (!client.destroyed) client.write(`${JSON.stringify(reply)}\n`);
  }
}
