import { type ChildProcess, spawn } from 'node:child_process';

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is ended, and has failed. */
  readonly limit: number;
}

/** What a program wrote, and how it ended: null when it did not end by itself. */
export interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  /** What it wrote to stdout and stderr. */
  readonly output: string;
}

/**
 * Runs a program to its end and resolves to what it wrote to stdout.
 *
 * @throws {Error} it ended with another code than 0, or not in time; the message ends with what it wrote.
 */
export async function run(program: Program): Promise<string> {
  const { code, stdout, output } = await endingOf(program);
  if (code === 0) return stdout;
  const how = code === null ? `did not end within ${program.limit / 1_000} s` : `ended with ${code}`;
  throw new Error(`${[program.file, ...program.args].join(' ')}\n${how}:\n${output.trim()}`);
}

/** Runs a program to its end, whatever that is. */
export function endingOf({ file, args, cwd, env, limit }: Program): Promise<Ending> {
  return new Promise((resolve, reject) => {
    // A group of its own, because npm starts further programs, which have to end with it.
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    running.add(child);
    let stdout = '';
    let output = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      end(child);
    }, limit);
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code: isLate ? null : code, stdout, output });
    });
  });
}

/** Ends whatever runs, when we have to end. */
export function endPrograms(): void {
  for (const child of running) end(child);
}

const running = new Set<ChildProcess>();

function end({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended in the meantime.
  }
}
