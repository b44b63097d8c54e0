import type { RedisServer } from '../../test/support/servers/redis-server';

/** One figure that the design asks for. */
export interface Target {
  readonly benchmark: string;
  readonly what: string;
  /** The goal in words, as the design states it. */
  readonly goal: string;
  /** What was measured, as the table shows it. */
  readonly measured: string;
  /** Undefined where the design names no limit and the figure is only reported. */
  readonly met: boolean | undefined;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What one must know to read it. */
  readonly note?: string;
}

/** A picture, as vega-lite understands it. */
export interface Plot {
  readonly file: string;
  readonly specification: object;
}

export interface Report {
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  readonly plots: readonly Plot[];
  /** Everything measured, for machines. */
  readonly figures: unknown;
}

export interface Settings {
  /** About how long the benchmark may take. */
  readonly seconds: number;
  /** The contestants to run, all where undefined. */
  readonly strategies: readonly string[] | undefined;
  readonly bypass: number;
  /** Says where it stands: one line. */
  progress(line: string): void;
  /** A Redis of this benchmark's own, stopped after it. */
  startRedis(): Promise<RedisServer>;
}

export interface Benchmark {
  readonly name: string;
  /** One sentence: what is measured. */
  readonly subject: string;
  /** How long it takes in a full run. */
  readonly seconds: number;
  run(settings: Settings): Promise<Report>;
}

export function isWanted({ strategies }: Settings, name: string): boolean {
  return strategies === undefined || strategies.includes(name);
}
