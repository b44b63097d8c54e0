import { Redis, type RedisOptions } from 'ioredis';
import { LockConfigurationError } from '../../locking/lock-error.js';
import type { StrategyContext } from '../../locking/lock-strategy.js';
import type { QuorumNodeOption } from './quorum-lock-options.js';

/**
 * The part of an ioredis client that the lock uses: it is duplicated, and otherwise left alone. Structural, so that
 * clients of ioredis 5 and 6 fit, whichever is installed beside this package.
 */
export interface QuorumRedisClient {
  readonly options: object;
  readonly isCluster?: boolean;
  duplicate(...args: never[]): unknown;
}

/** A connection of our own, not connected yet, to where the option says. */
export function nodeConnection(node: QuorumNodeOption, nest: StrategyContext): Redis {
  if (typeof node === 'string' && node.includes('://')) return new Redis(node, OURS);
  if (typeof node === 'object') return connectionLike(node);
  const provided = providedBy(node, nest);
  if (isRedisClient(provided)) return connectionLike(provided);
  throw new LockConfigurationError(
    `quorumLock: the provider ${tokenName(node)} of nodes is no client of ioredis. Provide one made by new Redis(…).`,
    { strategy: nest.strategy },
  );
}

/** Whether it looks like a client of ioredis. */
export function isRedisClient(value: unknown): value is QuorumRedisClient {
  if (typeof value !== 'object' || value === null) return false;
  const client = value as Record<string, unknown>;
  return (
    typeof client.duplicate === 'function' &&
    typeof client.sendCommand === 'function' &&
    typeof client.options === 'object'
  );
}

/** A node that is frozen, or behind a network that swallows packets, is connected to anew after this long. */
const LONGEST_SILENCE = 5_000;

/**
 * What the lock's own connections do differently, whatever the user's do. Nothing is sent later or again than when it was
 * meant: a command that is queued while a node is away would take a lock for a caller who has long gone. ioredis leaves
 * promises pending for ever with `autoResendUnfulfilledCommands: false` alone; `maxRetriesPerRequest: 0` rejects them.
 * `commandTimeout` ends a connection that gives no sign of life, its handshake included: each vote has a shorter limit
 * of its own, which depends on the lease (quorum-node.ts).
 */
const OURS = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  commandTimeout: LONGEST_SILENCE,
  connectTimeout: LONGEST_SILENCE,
  disconnectTimeout: 250,
  retryStrategy: (attempt) =>
    Math.min(50 * 2 ** Math.min(attempt - 1, 5), 1_000) * (0.75 + Math.random() / 2),
  reconnectOnError: null,
  enableReadyCheck: true,
  enableAutoPipelining: false,
  connectionName: 'nestjs-distributed-lock',
  stringNumbers: false,
  replyMapping: 'legacy',
  readOnly: false,
  monitor: false,
  scripts: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
} satisfies RedisOptions;

function connectionLike(node: RedisOptions | QuorumRedisClient): Redis {
  if (!isRedisClient(node)) return new Redis({ ...node, ...OURS });
  const client = node as unknown as Redis;
  return client.duplicate({ ...OURS, db: databaseOf(client) });
}

/** A client that ran SELECT is on another database than its options say. */
function databaseOf(client: Redis): number {
  const { condition } = client as unknown as { readonly condition?: { readonly select?: number } | null };
  return condition?.select ?? client.options.db ?? 0;
}

function providedBy(token: Exclude<QuorumNodeOption, object> | object, nest: StrategyContext): unknown {
  try {
    return nest.get(token);
  } catch (cause) {
    throw new LockConfigurationError(
      `quorumLock: nodes names the provider ${tokenName(token)}, which the application does not have. Provide a client of ` +
        'ioredis under this token, or give the URL of the node (redis://…).',
      { strategy: nest.strategy, cause },
    );
  }
}

function tokenName(token: unknown): string {
  return typeof token === 'function' ? token.name : String(token);
}
