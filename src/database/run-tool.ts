import { spawn } from 'node:child_process';
import type { SystemUser } from './unprivileged-user.js';

export interface Tool {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly user?: SystemUser;
}

/** Runs a program to its end and resolves to what it wrote. */
export function runTool({ file, args, cwd, env, user }: Tool): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env: { ...process.env, ...env },
      ...user,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${file} ended with ${code ?? signal}:\n${output.trim()}`));
    });
  });
}
