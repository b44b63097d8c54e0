import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The processes that this process has started and that still run. */
export function childrenOf(pid: number): number[] {
  const table =
    process.platform === 'linux'
      ? readOrEmpty(`/proc/${pid}/task/${pid}/children`)
          .split(/\s+/)
          .map((child) => [String(pid), child])
      : execFileSync('ps', ['-A', '-o', 'ppid=,pid='], { encoding: 'utf8' })
          .split('\n')
          .map((line) => line.trim().split(/\s+/));
  return table
    .filter(([parent, child]) => Number(parent) === pid && child !== undefined && child !== '')
    .map(([, child]) => Number(child));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  // One that has ended and that its parent has not reaped yet still answers to signal 0.
  return !/^\d+ \(.*\) Z/s.test(readOrEmpty(`/proc/${pid}/stat`));
}

export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
