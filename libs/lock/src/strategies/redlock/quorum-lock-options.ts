import type { Abstract, Type } from '@nestjs/common';
import type { RedisOptions } from 'ioredis';
import { checkKnownOptions, type OptionNames } from '../../locking/known-options.js';
import { LockConfigurationError } from '../../locking/lock-error.js';
import { isRedisClient, type QuorumRedisClient } from './node-connection.js';

/**
 * One of the masters:
 * - its URL, `redis://…` or `rediss://…`;
 * - options of ioredis;
 * - a client of ioredis 5 or 6, which is duplicated and otherwise left alone;
 * - the injection token of such a client (a string without `://` is one).
 */
export type QuorumNodeOption =
  string | symbol | Type<unknown> | Abstract<unknown> | RedisOptions | QuorumRedisClient;

/** How {@link quorumLock} locks. All durations are milliseconds. */
export interface QuorumLockOptions {
  /**
   * The masters: an odd number of them, at least 3, independent of each other (no replicas of one another, not the nodes
   * of a Cluster). 3 survive the loss of one, 5 of two.
   */
  readonly nodes: readonly QuorumNodeOption[];
  /**
   * How long a caller waits before it tries again. Shorter: it gets a lock sooner after its release. Longer: less load,
   * for each try is two commands on every node. Of all callers of one process for one key only one tries at a time.
   *
   * @defaultValue 100
   */
  readonly retryDelay?: number;
  /**
   * At most so much is added to each `retryDelay` by chance, so that processes that collided don't collide again.
   *
   * @defaultValue 100
   */
  readonly retryJitter?: number;
  /**
   * How far the clocks of nodes and callers may drift apart, as a part of the lease: a lease is held to be over so much
   * earlier (and 2 ms more).
   *
   * @defaultValue 0.01
   */
  readonly driftFactor?: number;
  /**
   * How long a node gets to answer before it counts as away; never more than a third of the lease. A call may take so
   * much longer than its `waitTime`, for even who tries once needs the time to try.
   *
   * @defaultValue 250
   */
  readonly nodeTimeout?: number;
  /**
   * Comes before each name in the keys of the nodes.
   *
   * @defaultValue 'quorum-lock:'
   */
  readonly prefix?: string;
  /**
   * First segments of the keys that this strategy locks, where several strategies stand side by side.
   *
   * @defaultValue none
   */
  readonly resources?: readonly string[];
  /**
   * How long the shut-down waits for those who hold a lock.
   *
   * @defaultValue 10000
   */
  readonly shutdownTimeout?: number;
}

export type ResolvedQuorumLockOptions = Required<QuorumLockOptions>;

/**
 * Fills in the defaults.
 *
 * @throws {LockConfigurationError} a value can't work; the message names the option, the value and the limit.
 */
export function resolveQuorumLockOptions(options: QuorumLockOptions): ResolvedQuorumLockOptions {
  checkKnownOptions('quorumLock', options, OPTIONS);
  const resolved: ResolvedQuorumLockOptions = {
    nodes: options.nodes,
    retryDelay: options.retryDelay ?? 100,
    retryJitter: options.retryJitter ?? 100,
    driftFactor: options.driftFactor ?? 0.01,
    nodeTimeout: options.nodeTimeout ?? 250,
    prefix: options.prefix ?? 'quorum-lock:',
    resources: options.resources ?? [],
    shutdownTimeout: options.shutdownTimeout ?? 10_000,
  };
  checkNodes(resolved.nodes);
  checkNumber('retryDelay', resolved.retryDelay, 1, 60_000);
  checkNumber('retryJitter', resolved.retryJitter, 0, 60_000);
  checkNumber('driftFactor', resolved.driftFactor, 0, 0.5);
  checkNumber('nodeTimeout', resolved.nodeTimeout, 5, 60_000);
  checkNumber('shutdownTimeout', resolved.shutdownTimeout, 0, 2 ** 31 - 1);
  if (typeof resolved.prefix !== 'string') refuse('prefix', resolved.prefix, 'must be a string');
  return resolved;
}

const OPTIONS: OptionNames<QuorumLockOptions> = {
  nodes: true,
  retryDelay: true,
  retryJitter: true,
  driftFactor: true,
  nodeTimeout: true,
  prefix: true,
  resources: true,
  shutdownTimeout: true,
};

function checkNodes(nodes: readonly QuorumNodeOption[]): void {
  if (!Array.isArray(nodes) || nodes.length < 3) {
    const count = Array.isArray(nodes) ? nodes.length : 0;
    throw new LockConfigurationError(
      `quorumLock: nodes must list at least 3 independent Redis masters, got ${count}: fewer survive the loss of none. ` +
        'With one Redis use redisLock().',
    );
  }
  if (nodes.length % 2 === 0) {
    throw new LockConfigurationError(
      `quorumLock: nodes must list an odd number of masters, got ${nodes.length}. The last one only adds another that ` +
        `can fail: ${nodes.length} nodes survive the loss of ${nodes.length / 2 - 1}, as ${nodes.length - 1} do, and votes ` +
        'can be split evenly. Leave one out or add one.',
    );
  }
  nodes.forEach(checkNode);
}

function checkNode(node: QuorumNodeOption, index: number, nodes: readonly QuorumNodeOption[]): void {
  const earlier = nodes.indexOf(node);
  if (earlier < index) {
    throw new LockConfigurationError(
      `quorumLock: nodes[${index}] is nodes[${earlier}] once more, and one server has one vote. Give each server once.`,
    );
  }
  if (typeof node === 'string' && node.includes('://')) return checkUrl(node, index);
  if (typeof node === 'string' && node !== '') return;
  if (typeof node === 'symbol' || typeof node === 'function') return;
  if (typeof node === 'object' && node !== null && (!('isCluster' in node) || node.isCluster !== true))
    return;
  throw new LockConfigurationError(
    isRedisClient(node)
      ? `quorumLock: nodes[${index}] is a Cluster, but each node must be one master by itself. With a Cluster use redisLock().`
      : `quorumLock: nodes[${index}] is ${String(node)}, but must be a URL (redis://…), options or a client of ioredis, or an injection token.`,
  );
}

/** The URL itself may hold a password, which has no place in a log. */
function checkUrl(url: string, index: number): void {
  if (/^rediss?:\/\//.test(url) && URL.canParse(url)) return;
  throw new LockConfigurationError(
    `quorumLock: nodes[${index}] is no URL of a Redis. It must look like redis://host:6379, or rediss://host:6379 with TLS.`,
  );
}

function checkNumber(option: string, value: unknown, least: number, most: number): void {
  if (typeof value === 'number' && value >= least && value <= most) return;
  refuse(option, value, `must be a number from ${least} to ${most}`);
}

function refuse(option: string, value: unknown, expected: string): never {
  throw new LockConfigurationError(`quorumLock({ ${option}: ${String(value)} }) can't work: it ${expected}.`);
}
