import { Listr } from 'listr2';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

const USAGE = `npm run test:repeat -- [--runs 20] [--seed 1] [--workers 2]
Runs the contract suite of every strategy, and a round of faults of each, again and again, each time with another seed,
until one of them fails.`;

/** What is repeated: whatever depends on chance, or on time. */
const SUITES = ['test/contract', 'test/fault'];

/** Lines of a failed run that are shown. */
const SHOWN = 200;

/** One whole run of the suites; the seed chooses the faults and when they happen. */
interface Run {
  readonly seed: number;
  readonly output: string;
  readonly passed: boolean;
}

async function main(): Promise<void> {
  const { runs, seed: first, workers } = readArguments();
  const done: Run[] = [];
  const tasks = new Listr(
    Array.from({ length: runs }, (_, place) => ({
      title: `seed ${first + place}`,
      task: async (_: unknown, task: { title: string; output: string }): Promise<void> => {
        const startedAt = performance.now();
        const run = await runSuites(first + place, workers, (line) => (task.output = line));
        done.push(run);
        const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
        task.title = `seed ${run.seed}: ${closingLine(run)} in ${seconds} s`;
        if (!run.passed) throw new Error(`seed ${run.seed} failed`);
      },
    })),
    { concurrent: false },
  );
  // The failure is told below, with what was printed.
  await tasks.run().catch(() => undefined);
  const failed = done.filter(({ passed }) => !passed);
  for (const { seed, output } of failed) {
    console.error(`\nseed ${seed}:\n${output.split('\n').slice(-SHOWN).join('\n')}`);
  }
  console.log(`${done.length - failed.length} runs passed, ${failed.length} failed`);
  if (failed.length > 0) process.exitCode = 1;
}

function readArguments(): { runs: number; seed: number; workers: number } {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '2' },
      help: { type: 'boolean', default: false },
    },
  });
  const [runs, seed, workers] = [Number(values.runs), Number(values.seed), Number(values.workers)];
  if (values.help || !(runs > 0) || !Number.isInteger(seed) || !(workers > 0)) {
    console.log(USAGE);
    process.exit(values.help ? 0 : 2);
  }
  return { runs, seed, workers };
}

function runSuites(seed: number, workers: number, say: (line: string) => void): Promise<Run> {
  const jest = createRequire(__filename).resolve('jest/bin/jest');
  const child = spawn(process.execPath, [jest, ...SUITES, '--maxWorkers', String(workers)], {
    env: { ...process.env, FAULT_SEED: String(seed) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: string[] = [];
  const note = (chunk: string): void => {
    chunks.push(chunk);
    const suite = /^(PASS|FAIL) .*$/m.exec(chunk);
    if (suite !== null) say(suite[0]);
  };
  child.stdout.setEncoding('utf8').on('data', note);
  child.stderr.setEncoding('utf8').on('data', note);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ seed, output: chunks.join(''), passed: code === 0 }));
  });
}

function closingLine({ output }: Run): string {
  return /^\d+ passed, \d+ failed$/m.exec(output)?.[0] ?? 'came to no end';
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
