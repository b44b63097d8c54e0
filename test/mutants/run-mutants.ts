import { Listr } from 'listr2';
import { parseArgs } from 'node:util';
import { type Mutant, MUTANTS, type NamedTest } from './mutants';
import { type Verdict, Workshop } from './workshop';

/** Within this time each way to break the lock must be noticed. */
const LIMIT = 60_000;

/**
 * Breaks the lock on purpose, in a copy, and sees that a named test notices: tests that pass for a broken lock prove
 * nothing. The same tests pass for the lock as it is, or they would prove nothing either.
 */
async function main(): Promise<void> {
  const mutants = chosenMutants();
  const workshop = new Workshop();
  const tasks = new Listr<unknown>(
    [
      ...testsOf(mutants).map((test) => ({
        title: `unbroken: ${test.title}`,
        task: async () => {
          const verdict = await workshop.run(test, LIMIT);
          if (verdict.passed !== true)
            throw new Error(`It does not even pass for the lock as it is: ${explain(verdict)}`);
        },
      })),
      ...mutants.map((mutant) => ({
        title: mutant.name,
        task: async (_: unknown, task: { title: string }) => {
          const startedAt = performance.now();
          await expectCaught(workshop, mutant);
          const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
          task.title = `${mutant.name}: caught in ${seconds} s by "${mutant.caughtBy.title}"`;
        },
      })),
    ],
    {
      concurrent: false,
      exitOnError: false,
      collectErrors: 'minimal',
      rendererOptions: { showErrorMessage: false },
    },
  );
  try {
    await tasks.run();
  } finally {
    workshop.close();
  }
  for (const { message } of tasks.errors) console.error(`\n${message}`);
  console.log(`${mutants.length} ways to break the lock, ${tasks.errors.length} failures.`);
  if (tasks.errors.length > 0) process.exitCode = 1;
}

/** Those whose name contains what `--only` says. */
function chosenMutants(): readonly Mutant[] {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
  const mutants = MUTANTS.filter(({ name }) => name.includes(values.only));
  if (mutants.length > 0) return mutants;
  const names = MUTANTS.map(({ name }) => `  ${name}`).join('\n');
  console.error(`There is no way to break the lock with "${values.only}" in its name. There are:\n${names}`);
  process.exit(2);
}

/** Each test once, in the order in which mutants need them. */
function testsOf(mutants: readonly Mutant[]): readonly NamedTest[] {
  return [...new Map(mutants.map(({ caughtBy }) => [caughtBy.file + caughtBy.title, caughtBy])).values()];
}

async function expectCaught(workshop: Workshop, { name, edits, caughtBy }: Mutant): Promise<void> {
  const verdict = await workshop.whileBroken(edits, () => workshop.run(caughtBy, LIMIT));
  if (verdict.passed === false && caughtBy.because.test(verdict.messages)) return;
  throw new Error(`A lock that ${name} was not caught by "${caughtBy.title}": ${explain(verdict)}`);
}

function explain(verdict: Verdict): string {
  switch (verdict.passed) {
    case true:
      return 'it passes.';
    case false:
      return `it fails, but says something else:\n${verdict.messages.slice(0, 2_000)}`;
    case 'too late':
      return `it takes longer than ${LIMIT / 1_000} s.`;
    case 'did not run':
      return `it did not run:\n${verdict.output}`;
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
