import { writeSync } from 'node:fs';
import { Listr, type ListrTask } from 'listr2';
import { stopServersOf } from '../test/support/servers/throwaway-server.js';
import { batchPlay } from './batch-play.js';
import { SceneStores } from './scenes/scene-stores.js';
import { webPlay } from './web-play.js';

const PLAYS = [webPlay, batchPlay];

async function main(): Promise<void> {
  process.once('SIGINT', () => void leave(130));
  process.once('SIGTERM', () => void leave(143));
  const start = performance.now();
  const stores = new SceneStores();
  try {
    await tasks(stores).run();
  } finally {
    await stores.stop();
    // Whatever a scene that failed has left behind.
    await stopServersOf(globalThis);
  }
  const wrong = PLAYS.reduce((sum, play) => sum + play.wrong, 0);
  const seconds = Math.round((performance.now() - start) / 1_000);
  for (const play of PLAYS) print(`\n${play.title}\n${play.table()}`);
  print(`\n${wrong === 0 ? 'All came out as it must' : `${wrong} came out WRONG`}, in ${seconds} s.`);
  process.exitCode = wrong === 0 ? 0 : 1;
}

function tasks(stores: SceneStores): Listr<unknown, 'default', 'simple'> {
  const servers: ListrTask[] = [
    { title: 'Start PostgreSQL', task: () => stores.startPostgres() },
    {
      title: 'Start Redis',
      task: async (_, task) => {
        await stores.startRedis((line) => (task.output = line));
        const missing = stores.missingFor('redis');
        if (missing !== undefined) task.skip(missing);
      },
      rendererOptions: { persistentOutput: true },
    },
  ];
  // Ctrl-C is ours: what was started has to be stopped first.
  return new Listr<unknown>([...servers, ...PLAYS.map((play) => play.task(stores))], {
    registerSignalListeners: false,
  });
}

async function leave(exitCode: number): Promise<void> {
  // Past the list of tasks, which keeps what is printed to itself, and has hidden the cursor.
  const showCursor = process.stdout.isTTY ? '\u001b[?25h' : '';
  writeSync(process.stdout.fd, `${showCursor}\nInterrupted: stopping the servers.\n`);
  await stopServersOf(globalThis);
  process.exit(exitCode);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

main().catch((error: unknown) => {
  process.exitCode = 1;
  // The list of tasks has said which one failed, and why.
  print(
    `\nThe demo could not be played to its end: ${error instanceof Error ? error.message : String(error)}`,
  );
});
