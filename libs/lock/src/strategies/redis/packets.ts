import type { Redis } from 'ioredis';

/** Without a bound the client and the server fall into lock-step: one writes while the other waits. */
const COMMANDS_A_PACKET = 16;

/**
 * Gathers what one tick sends over a connection, for Node's side of a command is mostly its packet. The first command of
 * a tick goes out at once, the others travel together when the tick ends.
 */
export class Packets {
  // ioredis writes to it as to a pipeline of its own.
  readonly isPipeline = true;
  readonly destination: { readonly redis: Redis };
  private gathered = '';
  private count = 0;
  private tickHasBegun = false;
  private readonly endTick = (): void => {
    this.tickHasBegun = false;
    this.flush();
  };

  constructor(connection: Redis) {
    this.destination = { redis: connection };
  }

  /** What is sent without this has to be sent after it: replies have no name but their order. */
  flush(): void {
    if (this.count === 0) return;
    const { gathered } = this;
    this.gathered = '';
    this.count = 0;
    this.destination.redis.stream.write(gathered);
  }

  write(command: string | Buffer): void {
    if (!this.tickHasBegun) {
      this.tickHasBegun = true;
      process.nextTick(this.endTick);
      this.destination.redis.stream.write(command);
      return;
    }
    this.gathered += command.toString();
    this.count += 1;
    if (this.count === COMMANDS_A_PACKET) this.flush();
  }
}
