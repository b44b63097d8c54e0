import { Redis, type Cluster, type ClusterOptions, type RedisOptions } from 'ioredis';
import { LockConfigurationError } from '../../locking/lock-error.js';

/**
 * The part of an ioredis client that the lock uses: it is duplicated, and otherwise left alone. Structural, so that
 * clients of ioredis 5 and 6 fit, whichever is installed beside this package.
 */
export interface RedisClient {
  readonly options: object;
  readonly isCluster?: boolean;
  duplicate(...args: never[]): unknown;
}

/** Makes connections of our own, all to the same place. */
export interface ConnectionSource {
  /** The user's `keyPrefix`: ioredis does not add it inside of scripts, so we do. */
  readonly keyPrefix: string;
  /** Where to, for error messages and log lines; no password in it. */
  readonly address: string;
  /** A connection that is not connected yet, and that does nothing by itself: no reconnect, no resend, no queue. */
  connection(): Redis;
}

/** Makes clients of our own that tell the topology of a Cluster. */
export interface ClusterSource {
  readonly keyPrefix: string;
  topology(): Cluster;
}

/**
 * Sending again and reconnecting are ours (session.ts, link.ts). `autoResendUnfulfilledCommands: false` alone leaves
 * promises pending for ever; with `maxRetriesPerRequest: 0` they are rejected.
 */
const PLAIN = {
  lazyConnect: true,
  retryStrategy: () => null,
  reconnectOnError: null,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  enableReadyCheck: false,
  enableAutoPipelining: false,
  keyPrefix: '',
  connectionName: 'nestjs-distributed-lock',
  commandTimeout: undefined,
  // We destroy the sockets ourselves; a timer for that would keep the process after the shut-down.
  disconnectTimeout: 1,
  socketTimeout: undefined,
  blockingTimeout: undefined,
  stringNumbers: false,
  replyMapping: 'legacy',
  readOnly: false,
  monitor: false,
  scripts: undefined,
  // Behind Sentinel: leave a master when another one is announced. The old one may go on taking writes for seconds.
  failoverDetector: true,
} satisfies RedisOptions;

/**
 * What may be set on the nodes of a Cluster: it connects and reconnects them by itself. They are only asked for the
 * topology, and a node that does not answer must not keep the others from being asked.
 */
const PLAIN_NODE = {
  keyPrefix: '',
  connectionName: 'nestjs-distributed-lock',
  commandTimeout: 1_000,
  disconnectTimeout: 1,
  stringNumbers: false,
  replyMapping: 'legacy',
  scripts: undefined,
} satisfies RedisOptions;

export function sourceFromUrl(url: string): ConnectionSource {
  const { host, pathname } = new URL(url);
  return {
    keyPrefix: '',
    address: host === '' ? pathname : host,
    connection: () => new Redis(url, PLAIN),
  };
}

export function sourceFromOptions(options: RedisOptions): ConnectionSource {
  return {
    keyPrefix: prefixOf(options),
    address: addressOf(options),
    connection: () => new Redis({ ...options, ...PLAIN }),
  };
}

export function sourceFromClient(client: RedisClient): ConnectionSource {
  const standalone = client as unknown as Redis;
  return {
    keyPrefix: prefixOf(standalone.options),
    address: addressOf(standalone.options),
    connection: () => standalone.duplicate({ ...PLAIN, db: databaseOf(standalone) }),
  };
}

export function sourceFromCluster(client: RedisClient): ClusterSource {
  const cluster = client as unknown as Cluster;
  return {
    keyPrefix: prefixOf({ keyPrefix: cluster.options.keyPrefix ?? cluster.options.redisOptions?.keyPrefix }),
    topology: () => {
      const options: ClusterOptions = {
        lazyConnect: true,
        enableOfflineQueue: false,
        shardedSubscribers: false,
        clusterRetryStrategy: (times) => Math.min(50 * times, 1_000),
        keyPrefix: '',
        scripts: undefined,
        redisOptions: { ...cluster.options.redisOptions, ...PLAIN_NODE },
      };
      return (cluster.duplicate as (nodes: [], options: ClusterOptions) => Cluster).call(
        cluster,
        [],
        options,
      );
    },
  };
}

/** A connection of our own to a node that the topology knows. */
export function nodeConnection(node: Redis): Redis {
  return node.duplicate(PLAIN);
}

/** Whether it looks like an ioredis client; node-redis has no `options.keyPrefix` and no status. */
export function isRedisClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false;
  const client = value as Record<string, unknown>;
  return (
    typeof client.duplicate === 'function' &&
    typeof client.sendCommand === 'function' &&
    typeof client.status === 'string' &&
    typeof client.options === 'object'
  );
}

/** A client that ran SELECT is on another database than its options say. */
function databaseOf(client: Redis): number {
  const { condition } = client as unknown as { condition?: { select?: number } | null };
  return condition?.select ?? client.options.db ?? 0;
}

function prefixOf(options: { keyPrefix?: unknown }): string {
  const { keyPrefix } = options;
  if (keyPrefix === undefined || keyPrefix === null) return '';
  if (typeof keyPrefix === 'string') return keyPrefix;
  if (Buffer.isBuffer(keyPrefix)) return keyPrefix.toString();
  throw new LockConfigurationError(
    `redisLock: keyPrefix must be a string, but the client has a value of type ${typeof keyPrefix}. Use a string.`,
  );
}

function addressOf(options: RedisOptions): string {
  if (options.sentinels) return `Sentinel ${options.name ?? ''}`.trim();
  return options.path ?? `${options.host ?? 'localhost'}:${options.port ?? 6379}`;
}
