import type { Redis } from 'ioredis';

/** Without a bound the client and the server fall into lock-step: one writes while the other waits. */
const COMMANDS_A_PACKET = 16;

/**
 * Gathers what one tick sends over a connection, for Node's side of a command is mostly its packet. A single command goes
 * out at once, several travel together when the tick ends; how many there will be is guessed from the tick before.
 */
export class Packets {
  // ioredis writes to it as to a pipeline of its own.
  readonly isPipeline = true;
  readonly destination: { readonly redis: Redis };
  private gathered = '';
  private count = 0;
  private sentThisTick = 0;
  private gathers = false;
  private readonly endTick = (): void => {
    this.gathers = this.sentThisTick > 1;
    this.sentThisTick = 0;
    this.flush();
  };

  constructor(connection: Redis) {
    this.destination = { redis: connection };
  }

  /** What is sent without this has to be sent after it: replies have no name but their order. */
  flush(): void {
    if (this.count === 0) return;
    const { gathered } = this;
    const { stream } = this.destination.redis;
    this.gathered = '';
    this.count = 0;
    // What was gathered for a connection that has ended meanwhile is rejected by ioredis.
    if (stream.writable) stream.write(gathered);
  }

  write(command: string | Buffer): void {
    this.sentThisTick += 1;
    if (this.sentThisTick === 1) {
      process.nextTick(this.endTick);
      if (!this.gathers) return void this.destination.redis.stream.write(command);
    }
    this.gathered += command.toString();
    this.count += 1;
    if (this.count === COMMANDS_A_PACKET) this.flush();
  }
}
