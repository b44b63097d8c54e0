import { Cluster, Redis } from 'ioredis';
import { LockConfigurationError } from '../../locking/lock-error.js';
import { quorumLock } from './quorum-lock.js';
import type { QuorumLockOptions } from './quorum-lock-options.js';

const NODES = ['redis://one:6379', 'redis://two:6379', 'redis://three:6379'];

describe('the options of quorumLock', () => {
  it.each<[string, unknown, RegExp]>([
    ['no nodes', {}, /at least 3 independent Redis masters, got 0/],
    ['one node', { nodes: NODES.slice(0, 1) }, /got 1.*redisLock\(\)/],
    ['two nodes', { nodes: NODES.slice(0, 2) }, /got 2/],
    [
      'four nodes',
      { nodes: [...NODES, 'redis://four'] },
      /odd number.*4 nodes survive the loss of 1, as 3 do/,
    ],
    ['a node twice', { nodes: [NODES[0], NODES[1], NODES[0]] }, /nodes\[2\] is nodes\[0\] once more/],
    ['a URL of something else', { nodes: ['http://one', NODES[1], NODES[2]] }, /nodes\[0\].*redis:\/\//],
    ['something that is no node', { nodes: [null, NODES[1], NODES[2]] }, /nodes\[0\] is null/],
    ['an unknown option', { nodes: NODES, retryCount: 3 }, /no option "retryCount".*retryDelay/],
    ['no pause', { nodes: NODES, retryDelay: 0 }, /retryDelay: 0.*from 1 to/],
    ['a wrong drift', { nodes: NODES, driftFactor: 2 }, /driftFactor: 2.*from 0 to 0\.5/],
    ['a wrong time limit', { nodes: NODES, nodeTimeout: '1s' }, /nodeTimeout: 1s.*a number from 5/],
  ])('with %s are refused with the option, the value and the limit', (_, options, message) => {
    const build = (): unknown => quorumLock(options as QuorumLockOptions);
    expect(build).toThrow(LockConfigurationError);
    expect(build).toThrow(message);
  });

  it('never name a password', () => {
    const nodes = ['http://user:secret@one', 'redis://two', 'redis://three'];
    let message = '';
    try {
      quorumLock({ nodes });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain('nodes[0] is no URL');
    expect(message).not.toContain('secret');
  });

  it('refuse a Cluster, which is no single master', () => {
    const cluster = new Cluster([{ port: 1 }], { lazyConnect: true });
    expect(() => quorumLock({ nodes: [cluster, 'redis://two', 'redis://three'] })).toThrow(/is a Cluster/);
    cluster.disconnect();
  });

  it('refuse a token that the application does not provide, and a provider that is no client', () => {
    const factory = quorumLock({ nodes: ['MISSING', 'redis://two', 'redis://three'] });
    const missing = (): never => {
      throw new Error('Nest could not find MISSING');
    };
    expect(() => factory({ strategy: 'quorum', get: missing })).toThrow(/provider MISSING.*URL/);
    const wrong = <T>(): T => ({ quit: () => undefined }) as T;
    expect(() => factory({ strategy: 'quorum', get: wrong })).toThrow(
      /provider MISSING.*no client of ioredis/,
    );
  });

  it('take clients and options of ioredis as they are', () => {
    const client = new Redis({ lazyConnect: true });
    expect(() => quorumLock({ nodes: [client, { host: 'two' }, Symbol('three')] })).not.toThrow();
    client.disconnect();
  });
});
