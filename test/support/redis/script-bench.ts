import { Redis } from 'ioredis';
import { SCRIPTS } from '../../../libs/lock/src/strategies/redis/scripts/scripts.generated';

/** Runs the scripts as instances would, for tests: an instance here is only an id, and a subscriber where one is wanted. */
export class ScriptBench {
  readonly keys = ['lock:{stock:1}', 'lock:{stock:1}:queue'] as const;
  readonly wire = 'Slock:inbox:';
  private readonly subscribers: Redis[] = [];

  constructor(readonly redis: Redis) {}

  run(name: keyof typeof SCRIPTS, ...args: readonly string[]): Promise<string> {
    const { source, keys } = SCRIPTS[name];
    return this.redis.eval(source, keys, ...this.keys.slice(0, keys), ...args) as Promise<string>;
  }

  /** `places`: seq:lease, or seq:lease:block, or seq:lease:block:ticket. */
  acquire(instance: string, places: string, distrust?: string): Promise<string> {
    const full = places.split(',').map(complete).join(',');
    const args = [`${instance}W${full}`, this.wire];
    return this.run('acquire', ...args, ...(distrust === undefined ? [] : [distrust]));
  }

  tryOnce(instance: string, place: string): Promise<string> {
    return this.run('acquire', `${instance}T${complete(place)}`, this.wire);
  }

  release(instance: string, token: string, ...closedFor: readonly string[]): Promise<string> {
    return this.run('release', token + instance, this.wire, ...closedFor);
  }

  /** `grant`: the terms and seqs, as in the grant that is extended. */
  extend(instance: string, token: string, lease: number, grant = '1000:1;1'): Promise<string> {
    return this.run('extend', token + instance, String(lease), token + grant);
  }

  cancel(instance: string, places: string): Promise<string> {
    return this.run('cancel', instance + places);
  }

  sweep(instance: string, place = ''): Promise<string> {
    return this.run('sweep', instance + place, this.wire);
  }

  /** Subscribes to the inbox of an instance; call the answer for all that it got so far. */
  async listen(instance: string): Promise<() => Promise<readonly string[]>> {
    const messages: string[] = [];
    const subscriber = this.redis.duplicate();
    this.subscribers.push(subscriber);
    subscriber.on('smessage', (_channel: string, message: string) => messages.push(message));
    await subscriber.ssubscribe(`lock:inbox:${instance}`);
    return async () => {
      // The answer comes behind the messages.
      await subscriber.ping();
      return messages;
    };
  }

  async now(): Promise<number> {
    const [seconds, micros] = await this.redis.time();
    return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  }

  /** Waits until the grant in force has lapsed, by Redis' clock. */
  async lapse(): Promise<void> {
    const state = (await this.redis.get(this.keys[0])) ?? '';
    const ends = Number(state.slice(17, 30));
    while ((await this.now()) <= ends) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  queue(): Promise<string[]> {
    return this.redis.zrange(this.keys[1], '0', '-1');
  }

  async end(): Promise<void> {
    for (const subscriber of this.subscribers) subscriber.disconnect();
    this.subscribers.length = 0;
    await this.redis.flushall();
  }
}

/** An instance id for tests, for example `AAAA…`. */
export function instanceNamed(letter: string): string {
  return letter.repeat(32);
}

/** The token of a GRANTED reply. */
export function tokenIn(reply: string): string {
  return reply.slice(28, 44);
}

/** The seqs of a GRANTED reply. */
export function seqsIn(reply: string): string {
  return reply.slice(44).split(';')[1] ?? '';
}

function complete(place: string): string {
  const [seq, lease, block = '1', ticket = '0'] = place.split(':');
  return [seq, lease, block, ticket].join(':');
}
