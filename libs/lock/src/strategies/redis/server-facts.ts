import type { Redis } from 'ioredis';
import { LockConfigurationError } from '../../locking/lock-error.js';

/** What a server says about itself at the handshake. */
export interface ServerFacts {
  /** Changes with every start of the server. Undefined where INFO is forbidden. */
  readonly runId: string | undefined;
  /** Milliseconds of Redis' clock at which the server started, at the latest. */
  readonly startedAt: number | undefined;
  /** Whether it has sharded channels (Redis 7, where nobody took them away). */
  readonly sharded: boolean;
  /** Whether this connection speaks RESP3: messages and replies on one connection. */
  readonly resp3: boolean;
  /** The connection's id and address, which end it on the server when it breaks on our side only. */
  readonly client: { readonly id: string; readonly address: string } | undefined;
  readonly isCluster: boolean;
  /** Milliseconds of Redis' clock at the handshake. */
  readonly now: number;
}

/**
 * Asks a connection that has just been made.
 *
 * @throws {LockConfigurationError} the server can't keep a lock: it is too old, or drops keys when its memory is full.
 */
export async function askServer(connection: Redis): Promise<ServerFacts> {
  const [info, hello, client, spublish, time] = await Promise.all([
    connection.info().catch(orElse('')),
    (connection.call('HELLO') as Promise<unknown[]>).catch(orElse([] as unknown[])),
    (connection.call('CLIENT', 'INFO') as Promise<string>).catch(orElse('')),
    (connection.call('COMMAND', 'INFO', 'SPUBLISH') as Promise<unknown[]>).catch(orElse(undefined)),
    connection.time(),
  ]);
  const fields = fieldsOf(info, /\r?\n/, ':');
  const clientFields = fieldsOf(client, ' ', '=');
  refuseUnfit(fields);
  const now = Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000);
  const uptime = fields.get('uptime_in_seconds');
  const [id, address] = [clientFields.get('id'), clientFields.get('addr')];
  const version = Number.parseInt(fields.get('redis_version') ?? '7', 10);
  return {
    runId: fields.get('run_id'),
    startedAt: uptime === undefined ? undefined : now - Number(uptime) * 1_000,
    // A server answers null for a command that it has not, whatever version it says to be.
    sharded: spublish === undefined ? version >= 7 : Array.isArray(spublish[0]),
    resp3: Number(hello[hello.indexOf('proto') + 1]) === 3,
    client: id !== undefined && address !== undefined ? { id, address } : undefined,
    isCluster: fields.get('cluster_enabled') === '1',
    now,
  };
}

/** Error replies only say that we may not ask; a broken connection has to fail the handshake. */
function orElse<T>(instead: T): (error: Error) => T {
  return (error) => {
    if (error.name !== 'ReplyError' || /^(LOADING|NOAUTH|MASTERDOWN)/.test(error.message)) throw error;
    return instead;
  };
}

function fieldsOf(text: string, separator: string | RegExp, equals: string): Map<string, string> {
  const pairs = text.split(separator).map((line): [string, string] => {
    const at = line.indexOf(equals);
    return [line.slice(0, at), line.slice(at + 1).trim()];
  });
  return new Map(pairs);
}

function refuseUnfit(fields: Map<string, string>): void {
  const version = fields.get('redis_version');
  if (version !== undefined && Number.parseInt(version, 10) < 6) {
    throw new LockConfigurationError(
      `The lock needs Redis 6 or later, but the server is ${version}. Use a newer server.`,
    );
  }
  const role = fields.get('role');
  if (role !== undefined && role !== 'master') {
    throw new Error(`the server is a ${role} and can't be written to`);
  }
  const policy = fields.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction' && fields.get('maxmemory') !== '0') {
    throw new LockConfigurationError(
      `Redis drops keys when its memory is full (maxmemory-policy ${policy}), locks included. ` +
        'Set maxmemory-policy to noeviction, or use a Redis of its own for locks.',
    );
  }
}
