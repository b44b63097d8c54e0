import { type RedisServer, startRedis } from '../../support/servers/redis-server';
import type { StoreFault } from '../schedule/fault-schedule';
import type { FaultSubject, OpenSubject } from './fault-subject';
import { OpenRedis } from './redis.subject';

/** Independent masters. As many at a time are broken as leave a majority: that is what a quorum is for. */
const quorumOf = (nodes: number): FaultSubject => ({
  name: `quorumLock on ${nodes} nodes`,
  recipe: require.resolve('./quorum.recipe'),
  scope: 'shared',
  processes: 3,
  tasks: 3,
  lease: 1_500,
  faults: [
    ...(['kill', 'leave', 'stop', 'delay', 'silence', 'cut', 'restart-keep', 'restart-empty'] as const),
    ...(['freeze', 'client-kill', 'client-pause', 'script-flush', 'slow-script'] as const),
  ],
  promises: {
    order: 'none',
    fencing: false,
    deadHolder: 'keeps its lease',
    patience: 10_000,
    // A node that was seen to restart has no vote for the time of a lease.
    aftermath: 3_500,
    answer: 250,
    // A node that forgot a lock gives it to the next, unless who asks saw it restart.
    excuses: {
      exclusion: ['restart-empty'],
      orderWhileWaiting: [],
      orderWhileArriving: [],
      longest: 4_000,
    },
  },
  open: async () => new OpenQuorum(await Promise.all(Array.from({ length: nodes }, () => startRedis()))),
});

export const quorumSubject = quorumOf(3);
export const quorumOfFiveSubject = quorumOf(5);

class OpenQuorum implements OpenSubject {
  readonly urls: readonly string[];
  private readonly nodes: readonly OpenRedis[];
  private injected = 0;

  constructor(servers: readonly RedisServer[]) {
    this.nodes = servers.map((server) => new OpenRedis(server));
    this.urls = servers.map(({ url }) => url);
  }

  /** Each node in its turn. */
  async inject(kind: StoreFault, duration: number): Promise<void> {
    const minority = Math.floor((this.nodes.length - 1) / 2);
    const hit = Array.from({ length: minority }, (_, place) => (this.injected + place) % this.nodes.length);
    this.injected += minority;
    await Promise.all(hit.map((place) => this.nodes[place]?.inject(kind, duration)));
  }

  /** Nothing is kept but locks that are held, and those of the dead go away with their leases. */
  async residue(): Promise<readonly string[]> {
    const left = await Promise.all(this.nodes.map((node) => node.forgotten()));
    return left.flatMap((lines, index) => lines.map((line) => `node ${index + 1}: ${line}`));
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }
}
