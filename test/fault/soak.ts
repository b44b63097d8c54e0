import Table from 'cli-table3';
import { Listr } from 'listr2';
import { parseArgs } from 'node:util';
import { provideServer } from '../support/servers/provide-servers';
import { runRound } from './round';
import type { RoundReport } from './round-report';
import { FAULT_SUBJECTS } from './subjects';
import type { FaultSubject } from './subjects/fault-subject';

/** Milliseconds of faults in one round; a round has a seed, and a store, of its own. */
const ROUND = 40_000;

const USAGE = `npm run test:soak -- [--minutes 10] [--seed 1] [--strategy redis] [--strategy …]
Strategies: ${Object.keys(FAULT_SUBJECTS).join(', ')}. Without --strategy all of them, in equal parts of the time.`;

/** What a strategy has gone through. */
interface Figures {
  rounds: number;
  calls: number;
  grants: number;
  readonly faults: Map<string, number>;
  readonly refusals: Map<string, number>;
}

async function main(): Promise<void> {
  const { minutes, seed, names } = readArguments();
  const say = (line: string): void => console.log(line);
  await provideServer('redis', { say });
  if (names.includes('mariadb')) await provideServer('mariadb', { say });
  const figures = new Map<string, Figures>();
  const tasks = new Listr(
    names.map((name) => {
      const subject = subjectOf(name);
      const total: Figures = { rounds: 0, calls: 0, grants: 0, faults: new Map(), refusals: new Map() };
      figures.set(subject.name, total);
      return {
        title: subject.name,
        task: async (_: unknown, task: { title: string; output: string }): Promise<void> => {
          const end = Date.now() + (minutes * 60_000) / names.length;
          for (let round = seed; Date.now() < end; round += 1) {
            const duration = Math.max(5_000, Math.min(ROUND, end - Date.now()));
            task.output = `seed ${round}: begins`;
            const report = await runRound({
              subject,
              seed: round,
              duration,
              onFault: ({ kind, target = 'the store' }) =>
                (task.output = `seed ${round}: ${kind} hits ${target}`),
            });
            add(total, report);
            task.title = `${subject.name}: ${total.rounds} rounds, ${total.grants} grants, ${sum(total.faults)} faults`;
            report.assertKept();
          }
        },
      };
    }),
    {
      concurrent: false,
      exitOnError: false,
      collectErrors: 'minimal',
      rendererOptions: { showErrorMessage: false },
    },
  );
  await tasks.run();
  console.log(tableOf(figures).toString());
  for (const { message } of tasks.errors) console.error(`\n${message}`);
  if (tasks.errors.length > 0) process.exitCode = 1;
  else console.log('No promise was broken.');
}

function readArguments(): { minutes: number; seed: number; names: readonly string[] } {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      seed: { type: 'string', default: '1' },
      strategy: { type: 'string', multiple: true, default: Object.keys(FAULT_SUBJECTS) },
      help: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  if (values.help || !(minutes > 0) || !Number.isInteger(seed)) {
    console.log(USAGE);
    process.exit(values.help ? 0 : 2);
  }
  return { minutes, seed, names: values.strategy };
}

function subjectOf(name: string): FaultSubject {
  const subject = FAULT_SUBJECTS[name];
  if (subject !== undefined) return subject;
  console.error(`There is no strategy "${name}".\n${USAGE}`);
  process.exit(2);
}

function add(total: Figures, report: RoundReport): void {
  total.rounds += 1;
  total.calls += report.facts.history.calls.length;
  total.grants += report.grants;
  for (const [kind, count] of report.faults) total.faults.set(kind, (total.faults.get(kind) ?? 0) + count);
  for (const [code, count] of report.refusals)
    total.refusals.set(code, (total.refusals.get(code) ?? 0) + count);
}

function tableOf(figures: ReadonlyMap<string, Figures>): Table.Table {
  const table = new Table({
    head: ['strategy', 'rounds', 'calls', 'grants', 'refusals', 'faults', 'by kind'],
    style: { head: [] },
  });
  for (const [name, { rounds, calls, grants, refusals, faults }] of figures) {
    table.push([name, rounds, calls, grants, told(refusals, 1), sum(faults), told(faults, 3)]);
  }
  return table;
}

function told(counts: ReadonlyMap<string, number>, columns: number): string {
  const words = [...counts].sort().map(([what, count]) => `${what} ${count}`);
  const lines: string[] = [];
  for (let at = 0; at < words.length; at += columns) lines.push(words.slice(at, at + columns).join(', '));
  return lines.join('\n');
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
