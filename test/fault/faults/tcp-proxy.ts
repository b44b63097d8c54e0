import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** How many milliseconds the next chunk is held back. */
export type Delay = () => number;

/**
 * Stands between a process and its server, and does what a network does: delays, falls silent, cuts. On loopback, for
 * any protocol over TCP. (Toxiproxy, which is made for this, is a program of its own that no package brings along.)
 */
export class TcpProxy {
  private readonly server: Server;
  private readonly pairs = new Set<Pair>();
  private delay: Delay | undefined;
  private silent = false;

  static async open(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.server = createServer((near) => {
      const pair = new Pair(near, connect(target.port, target.host), () => this.pairs.delete(pair));
      pair.slowDown(this.delay);
      if (this.silent) pair.fallSilent();
      this.pairs.add(pair);
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** From now on each chunk, both ways, arrives late, but none overtakes another; undefined ends it. */
  slowDown(delay: Delay | undefined): void {
    this.delay = delay;
    for (const pair of this.pairs) pair.slowDown(delay);
  }

  /** Nothing arrives any more, and nobody hears why. New connections are accepted, and silent too. */
  fallSilent(): void {
    this.silent = true;
    for (const pair of this.pairs) pair.fallSilent();
  }

  /** What was sent meanwhile arrives now: late. */
  speakAgain(): void {
    this.silent = false;
    for (const pair of this.pairs) pair.speakAgain();
  }

  /** Both ends of every connection see it break. What was under way is lost. */
  cut(): void {
    for (const pair of this.pairs) pair.cut();
  }

  async close(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, 'close');
  }
}

/** A connection of a process, and the one to its server that belongs to it. */
class Pair {
  private readonly ways: readonly Way[];
  private ends = 0;

  constructor(
    private readonly near: Socket,
    private readonly far: Socket,
    private readonly onEnd: () => void,
  ) {
    const [there, back] = [new Way(near, far), new Way(far, near)];
    this.ways = [there, back];
    near.on('close', () => this.ended(back, there));
    far.on('close', () => this.ended(there, back));
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
    }
  }

  slowDown(delay: Delay | undefined): void {
    for (const way of this.ways) way.delay = delay;
  }

  fallSilent(): void {
    for (const way of this.ways) way.hold();
  }

  speakAgain(): void {
    for (const way of this.ways) way.flow();
  }

  cut(): void {
    for (const way of this.ways) way.stop();
    this.near.destroy();
    this.far.destroy();
  }

  /** One side is gone. What it said before still arrives, however late: so does a network. */
  private ended(toIt: Way, fromIt: Way): void {
    toIt.stop();
    fromIt.take('end');
    this.ends += 1;
    if (this.ends === 2) this.onEnd();
  }
}

/** One direction of a connection. */
class Way {
  delay: Delay | undefined;
  private readonly waiting: (Buffer | 'end')[] = [];
  private held = false;
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    from: Socket,
    private readonly to: Socket,
  ) {
    from.on('data', (chunk) => this.take(chunk));
    from.on('end', () => this.take('end'));
  }

  hold(): void {
    this.held = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  flow(): void {
    this.held = false;
    this.pass();
  }

  /** For good. */
  stop(): void {
    this.stopped = true;
    this.hold();
    this.waiting.length = 0;
  }

  take(chunk: Buffer | 'end'): void {
    if (this.stopped) return;
    if (this.waiting.length === 0 && this.delay === undefined && !this.held) return this.send(chunk);
    this.waiting.push(chunk);
    this.pass();
  }

  /** In the order in which they came, as TCP promises. */
  private pass(): void {
    if (this.held || this.timer !== undefined || this.waiting.length === 0) return;
    const { delay } = this;
    if (delay === undefined) {
      for (const chunk of this.waiting.splice(0)) this.send(chunk);
      return;
    }
    this.timer = setTimeout(() => {
      this.timer = undefined;
      for (const chunk of this.waiting.splice(0)) this.send(chunk);
      this.pass();
    }, delay());
  }

  private send(chunk: Buffer | 'end'): void {
    if (this.to.destroyed) return;
    if (chunk === 'end') this.to.destroySoon();
    else this.to.write(chunk);
  }
}
