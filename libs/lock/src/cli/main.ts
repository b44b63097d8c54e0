#!/usr/bin/env node
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { Surroundings } from './command.js';
import { ExitCode } from './exit-code.js';

/** A connection that can't be closed must not keep the shell waiting (milliseconds). */
const LONGEST_GOODBYE = 2_000;

async function main(): Promise<ExitCode> {
  try {
    // Not from the start: ioredis is an optional package, and Node's own words about a missing one help nobody.
    const { runCommand } = await import('./command.js');
    return await runCommand(process.argv.slice(2), surroundings());
  } catch (error) {
    process.stderr.write(
      `${missingPackage(error) ?? (error instanceof Error ? error.stack : String(error))}\n`,
    );
    return ExitCode.USAGE;
  }
}

function surroundings(): Surroundings {
  const { version } = createRequire(__filename)('nestjs-distributed-lock/package.json') as {
    version: string;
  };
  return {
    environment: process.env,
    version,
    print: (text) => void process.stdout.write(text),
    say: (text) => void process.stderr.write(text),
    ...(process.stdin.isTTY ? { ask } : {}),
  };
}

/** No answer (Ctrl-C, Ctrl-D, a terminal that goes away) is a no. */
function ask(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    terminal.once('close', () => resolve(false));
    terminal.question(question, (answer) => {
      resolve(/^y(es)?$/i.test(answer.trim()));
      terminal.close();
    });
  });
}

function missingPackage(error: unknown): string | undefined {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') return undefined;
  const name = /Cannot find (?:module|package) '([^'./][^']*)'/.exec(message ?? '')?.[1];
  if (name === undefined) return undefined;
  return (
    `This command needs the package ${name}, which is not installed beside nestjs-distributed-lock. In your project:\n` +
    `  npm install ${name}\nWithout a project:\n` +
    `  npx --package nestjs-distributed-lock --package ${name} nestjs-distributed-lock --help`
  );
}

void main().then((code) => {
  process.exitCode = code;
  setTimeout(() => process.exit(), LONGEST_GOODBYE).unref();
});
