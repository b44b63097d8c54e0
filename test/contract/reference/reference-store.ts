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
  /** With `acquire` how long nobody else gets the lock, whatever happens. */
  readonly holdAtLeast?: number;
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
  /** When the lease is over, by the clock of the machine, which all have. */
  readonly ends?: number;
  readonly waiters?: number;
  readonly flaw?: Flaw;
}

interface Waiter {
  readonly id: number;
  readonly client: Socket;
  readonly lease: number;
  readonly holdAtLeast: number;
}

interface Holder {
  /** Undefined once it was released, and is kept for its `holdAtLeast`. */
  token: number | undefined;
  readonly client: Socket;
  /** When somebody else may have the lock, at the earliest. */
  readonly keptUntil: number;
  lapse: NodeJS.Timeout | undefined;
}

interface LockState {
  holder: Holder | undefined;
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

  /** The locks that it knows of: those that somebody holds or waits for. */
  get names(): readonly string[] {
    return [...this.locks.keys()];
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
      const sent = JSON.parse(line) as StoreCommand;
      const command = { ...sent, name: this.nameOf(sent.name) };
      const reply = this.answer(command, client);
      this.forgetIfIdle(command.name);
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
        return { done: this.extend(command, client) };
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
        const { holder, queue } = lock;
        return { done: holder !== undefined, token: holder?.token, waiters: queue.length };
      }
    }
  }

  private acquire(
    { id, name, duration = 0, holdAtLeast = 0, wait }: StoreCommand,
    client: Socket,
  ): Omit<StoreReply, 'id'> | undefined {
    const lock = this.lockOf(name);
    const waiter: Waiter = { id, client, lease: duration, holdAtLeast };
    const again = this.flaw === 'lets the holder in again' && lock.holder?.client === client;
    if (this.flaw === 'lets everybody in' || again) {
      return { done: true, token: this.nextToken(), ends: Date.now() + duration };
    }
    if (lock.holder === undefined) return this.granted(name, lock, waiter);
    if (wait !== true) return { done: false };
    lock.queue.push(waiter);
    return undefined;
  }

  private cancel({ name, cancelled }: StoreCommand): Omit<StoreReply, 'id'> {
    const { queue } = this.lockOf(name);
    const place = queue.findIndex(({ id }) => id === cancelled);
    if (place >= 0) queue.splice(place, 1);
    return { done: place >= 0 };
  }

  private extend({ id, name, token, duration = 0 }: StoreCommand, client: Socket): boolean {
    const lock = this.lockOf(name);
    if (this.flaw === 'extends a lease for whoever asks') return true;
    if (this.flaw === 'brings a lock back by a late extension' && lock.holder === undefined) {
      this.grant(name, lock, { id, client, lease: duration, holdAtLeast: 0 });
    }
    if (lock.holder === undefined || lock.holder.token !== token) return false;
    clearTimeout(lock.holder.lapse);
    lock.holder.lapse = this.lapseAfter(duration, name, lock);
    return true;
  }

  private release({ name, token }: StoreCommand): boolean {
    const lock = this.lockOf(name);
    const isTheirs = lock.holder?.token === token || this.flaw === 'takes back a lock from whoever holds it';
    if (isTheirs) this.handOnInTime(name, lock);
    return isTheirs;
  }

  private forceRelease(name: string): boolean {
    const lock = this.lockOf(name);
    if (lock.holder === undefined) return false;
    this.handOn(name, lock);
    return true;
  }

  private grant(name: string, lock: LockState, { client, lease, holdAtLeast }: Waiter): number {
    const token = this.nextToken();
    const keptUntil = performance.now() + holdAtLeast;
    lock.holder = { token, client, keptUntil, lapse: this.lapseAfter(lease, name, lock) };
    return token;
  }

  private granted(name: string, lock: LockState, waiter: Waiter): Omit<StoreReply, 'id'> {
    return { done: true, token: this.grant(name, lock, waiter), ends: Date.now() + waiter.lease };
  }

  private handOnInTime(name: string, lock: LockState): void {
    const left = (lock.holder?.keptUntil ?? 0) - performance.now();
    if (lock.holder === undefined || left <= 0 || this.flaw === 'forgets holdAtLeast') {
      return this.handOn(name, lock);
    }
    clearTimeout(lock.holder.lapse);
    lock.holder.token = undefined;
    lock.holder.lapse = setTimeout(() => this.handOn(name, lock), left);
  }

  private handOn(name: string, lock: LockState): void {
    clearTimeout(lock.holder?.lapse);
    lock.holder = undefined;
    const next = this.flaw === 'serves the last first' ? lock.queue.pop() : lock.queue.shift();
    if (next === undefined) return this.forgetIfIdle(name);
    if (this.flaw === 'never gives a lock to the next') return;
    this.reply(next.client, { id: next.id, ...this.granted(name, lock, next) });
  }

  private lapseAfter(lease: number, name: string, lock: LockState): NodeJS.Timeout | undefined {
    if (this.flaw === 'never ends a lease') return undefined;
    const factor = this.flaw === 'ends leases too early' ? 0.4 : 1;
    const forgets = this.flaw === 'forgets holdAtLeast of a dead holder';
    return setTimeout(
      () => (forgets ? this.handOn(name, lock) : this.handOnInTime(name, lock)),
      lease * factor,
    );
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

  private forgetIfIdle(name: string): void {
    const lock = this.locks.get(name);
    const isIdle = lock?.holder === undefined && lock?.queue.length === 0;
    if (isIdle && this.flaw !== 'remembers every lock') this.locks.delete(name);
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
