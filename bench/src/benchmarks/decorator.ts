import type { Benchmark, Report, Settings } from '../benchmark';
import { median } from '../measuring/statistics';
import { digits } from '../report/format';
import { Worker } from '../workers/team';
import type { DecoratorResult } from './decorator.worker';

const CALLS = 20_000;
const WARM_UP_ROUNDS = 3;

export const decorator: Benchmark = {
  name: 'decorator',
  subject: 'a decorated method against acquire and release by hand, both in memory',
  seconds: 8,
  run,
};

async function run({ seconds, progress }: Settings): Promise<Report> {
  const worker = new Worker('benchmarks/decorator.worker');
  const results: DecoratorResult[] = [];
  try {
    await worker.ask('open', undefined);
    for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await worker.ask('measure', CALLS);
    progress(`rounds of ${digits(CALLS)} calls each`);
    const until = performance.now() + seconds * 1_000;
    while (performance.now() < until || results.length === 0) {
      results.push(await worker.ask<DecoratorResult>('measure', CALLS));
    }
  } finally {
    await worker.kill();
  }
  const overlaps = results.at(-1)?.overlaps ?? 0;
  if (overlaps > 0) throw new Error(`disqualified: ${overlaps} were inside together`);
  const more = median(results.map(({ decorated, byHand }) => decorated - byHand));
  return {
    tables: [
      {
        title: 'A call: microseconds of processor time',
        columns: ['decorated method', 'by hand', 'difference'],
        rows: [
          [
            digits(median(results.map(({ decorated }) => decorated))),
            digits(median(results.map(({ byHand }) => byHand))),
            digits(more),
          ],
        ],
      },
    ],
    targets: [
      {
        benchmark: 'decorator',
        what: 'over acquire and release by hand',
        goal: '< 2 microseconds',
        measured: `${digits(more)} microseconds`,
        met: more < 2,
      },
    ],
    plots: [],
    figures: results,
  };
}
