import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onLine } from './lines';
import type { StoreCommand, StoreReply } from './reference-store';

/** A client's side of the store: one socket, replies by number. */
export class StoreConnection {
  private readonly pending = new Map<number, (reply: StoreReply) => void>();
  private readonly socket: Socket;
  private lastId = Math.floor(Math.random() * 1_000_000) * 1_000_000;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    onLine(this.socket, (line) => {
      const reply = JSON.parse(line) as StoreReply;
      this.pending.get(reply.id)?.(reply);
      this.pending.delete(reply.id);
    });
  }

  ask(command: Omit<StoreCommand, 'id'>): { readonly id: number; readonly reply: Promise<StoreReply> } {
    this.lastId += 1;
    const id = this.lastId;
    const reply = new Promise<StoreReply>((resolve) => this.pending.set(id, resolve));
    this.socket.write(`${JSON.stringify({ id, ...command })}\n`);
    return { id, reply };
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return;
    this.socket.destroy();
    await once(this.socket, 'close');
  }
}
