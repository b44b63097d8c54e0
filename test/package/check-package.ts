import { writeSync } from 'node:fs';
import { Listr } from 'listr2';
import { checkConsumer, type Surroundings } from './check-consumer.js';
import { CONSUMERS } from './consumers.js';
import { Findings } from './findings.js';
import { tableOf } from './findings-table.js';
import { checkLibrary } from './library-checks.js';
import { type NodeVersion, nodeVersions } from './node-versions.js';
import { packLibrary, type PackedLibrary, removeWorkFolder, workFolder } from './packed-library.js';
import { endPrograms } from './program.js';
import { SceneServers, stopSceneServers } from './scene-servers.js';

/** What the tasks before found out for those after them. */
interface Context {
  library: PackedLibrary;
  nodes: readonly NodeVersion[];
  servers: SceneServers;
}

/**
 * Packs the library as it would be published, and tries it in the projects of those who would install it.
 *
 * `npm run check:package`, or with words that a consumer's name has to contain: `npm run check:package -- 'Nest 12'`
 */
async function main(words: readonly string[]): Promise<void> {
  const folder = workFolder();
  const findings = new Findings();
  const end = (code: number): void => {
    endPrograms();
    void stopSceneServers().finally(() => {
      removeWorkFolder(folder);
      writeSync(process.stdout.fd, '\nInterrupted.\n');
      process.exit(code);
    });
  };
  process.once('SIGINT', () => end(130));
  process.once('SIGTERM', () => end(143));
  const broken: string[] = [];
  try {
    await tasks(folder, findings, words).run();
  } catch (error) {
    broken.push(error instanceof Error ? error.message : String(error));
  } finally {
    await stopSceneServers();
    removeWorkFolder(folder);
  }
  report(findings, broken);
}

function tasks(
  folder: string,
  findings: Findings,
  words: readonly string[],
): Listr<Context, 'default', 'simple'> {
  const consumers = CONSUMERS.filter(({ name }) => words.every((word) => name.includes(word)));
  return new Listr<Context>(
    [
      {
        title: 'Build and pack the library',
        task: async (context) => {
          context.library = await packLibrary(folder);
        },
      },
      { title: 'Look at the package', task: ({ library }) => checkLibrary(library, findings) },
      {
        title: 'Start Redis and PostgreSQL',
        task: async (context, task) => {
          context.servers = await SceneServers.start((line) => (task.output = line));
        },
      },
      {
        title: 'Get other Nodes from npm',
        task: async (context) => {
          context.nodes = await nodeVersions(`${folder}/nodes`);
        },
      },
      {
        title: 'Install the package and run',
        task: (context, task) =>
          task.newListr(
            consumers.map((consumer) => ({
              title: consumer.name,
              task: async (_, subtask) => {
                const surroundings: Surroundings = { ...context, folder, findings };
                await checkConsumer(consumer, surroundings, (text) => (subtask.output = text));
                const wrong = findings.failures.filter(({ subject }) => subject.startsWith(consumer.name));
                if (wrong.length > 0) subtask.title = `${consumer.name}: ${wrong.length} FAILED`;
              },
            })),
            { concurrent: 2, rendererOptions: { collapseSubtasks: false } },
          ),
      },
    ],
    { registerSignalListeners: false },
  );
}

/** @param broken - what kept the rest from being looked at */
function report(findings: Findings, broken: readonly string[]): void {
  print(`\n${tableOf(findings)}`);
  for (const { subject, aspect, problem } of findings.failures)
    print(`\n${subject}, ${aspect}:\n${startOf(problem)}`);
  for (const message of broken) print(`\nCould not go on:\n${message}`);
  const failed = findings.failures.length + broken.length;
  print(`\n${findings.passed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}

/** Enough to see what it is: the same problem comes on each Node again. */
function startOf(problem = ''): string {
  return problem.split('\n').slice(0, 25).join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

void main(process.argv.slice(2));
