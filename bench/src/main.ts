import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { startRedis, type RedisServer } from '../../test/support/servers/redis-server';
import { provideServer } from '../../test/support/servers/provide-servers';
import type { Benchmark, Report, Settings } from './benchmark';
import { ALL_BENCHMARKS, type Run } from './benchmarks/index';
import { readCommandLine, type CommandLine } from './command-line';
import { draw } from './report/draw';
import { describeMachine } from './report/machine';
import { writePage } from './report/page';
import type { Results } from './report/results';
import { forTerminal, targetTable } from './report/tables';
import { sentence } from './workers/worker';

const ROOT = join(__dirname, '../../../..');
const RESULTS = join(ROOT, 'bench/results/latest.json');
const DOCS = join(ROOT, 'docs');

async function main(): Promise<void> {
  const known = [...new Set(ALL_BENCHMARKS.map(({ benchmark }) => benchmark.name))];
  const commandLine = readCommandLine(process.argv.slice(2), known);
  const machine = describeMachine();
  const runs = wantedRuns(commandLine);
  const reports: Record<string, Report> = {};
  const errors: Record<string, string> = {};
  const loads: Record<string, number> = {};
  await provideServer('redis', { say: (line) => console.log(line) });
  for (const [at, run] of runs.entries()) {
    console.log(`\n[${at + 1}/${runs.length}] ${run.title}: ${run.benchmark.subject}`);
    try {
      const report = await play(run, commandLine);
      reports[run.title] = report;
      for (const table of report.tables) console.log(forTerminal(table));
    } catch (error) {
      errors[run.title] = sentence(error);
      console.log(
        `it did not run: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
    loads[run.title] = loadavg()[0] ?? NaN;
  }
  const targets = Object.values(reports).flatMap((report) => report.targets);
  console.log(forTerminal(targetTable(targets)));
  // A part of the benchmarks, or of the contestants, is for looking at: the results are those of a whole run.
  if (!isWhole(commandLine)) return;
  const results: Results = { date: new Date().toISOString(), machine, loads, reports, errors };
  await mkdir(join(ROOT, 'bench/results'), { recursive: true });
  await writeFile(RESULTS, `${JSON.stringify(withoutPlots(results), undefined, 1)}\n`);
  await draw(
    Object.values(reports).flatMap(({ plots }) => plots),
    join(DOCS, 'benchmarks'),
  );
  const page = join(DOCS, 'benchmarks.md');
  const text = writePage(await readFile(page, 'utf8'), results);
  await writeFile(page, await format(text, { parser: 'markdown', ...(await resolveConfig(page)) }));
}

function wantedRuns({ names, bypass }: CommandLine): Run[] {
  if (names.length === 0) return [...ALL_BENCHMARKS];
  return names.flatMap((name) => {
    const [run] = ALL_BENCHMARKS.filter(({ benchmark }) => benchmark.name === name);
    if (run === undefined) return [];
    return bypass === 0 ? [run] : [{ ...run, title: `${name} --bypass ${bypass}`, bypass }];
  });
}

function isWhole({ names, strategies, seconds }: CommandLine): boolean {
  return names.length === 0 && strategies === undefined && seconds === undefined;
}

async function play({ benchmark, bypass }: Run, commandLine: CommandLine): Promise<Report> {
  const servers: RedisServer[] = [];
  const settings: Settings = {
    seconds: commandLine.seconds ?? benchmark.seconds,
    strategies: commandLine.strategies,
    bypass,
    progress: (line) => say(benchmark, line),
    async startRedis() {
      const server = await startRedis();
      servers.push(server);
      return server;
    },
  };
  try {
    return await benchmark.run(settings);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

function say({ name }: Benchmark, line: string): void {
  const time = new Date().toISOString().slice(11, 19);
  console.log(`  ${time} ${name}: ${line}`);
}

function withoutPlots(results: Results): unknown {
  return {
    ...results,
    reports: Object.fromEntries(
      Object.entries(results.reports).map(([title, { targets, tables, figures }]) => [
        title,
        { targets, tables, figures },
      ]),
    ),
  };
}

void main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
