import type { Benchmark } from '../benchmark';
import { database } from './database';
import { decorator } from './decorator';
import { herd } from './herd';
import { hot } from './hot';
import { many } from './many';
import { memory } from './memory';
import { pool } from './pool';
import { recovery } from './recovery';
import { uncontended } from './uncontended';

/** One benchmark with its options, as a full run plays it. */
export interface Run {
  /** As the results name it. */
  readonly title: string;
  readonly benchmark: Benchmark;
  readonly bypass: number;
}

export const ALL_BENCHMARKS: readonly Run[] = [
  plain(uncontended),
  plain(hot),
  { title: 'hot --bypass 64', benchmark: hot, bypass: 64 },
  plain(herd),
  plain(many),
  plain(memory),
  plain(decorator),
  plain(database),
  plain(pool),
  plain(recovery),
];

function plain(benchmark: Benchmark): Run {
  return { title: benchmark.name, benchmark, bypass: 0 };
}
