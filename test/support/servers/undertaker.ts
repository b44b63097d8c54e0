import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * A shell that outlives this process for a moment. It learns what to clean up through its standard input, and starts
 * when that ends: orderly by `finish`, or because this process is gone, by whatever means (exit, an exception,
 * Ctrl-C, SIGKILL). So no signal handler is needed, which a test runner's sandbox would not even call, and no
 * process id is left to somebody who comes later: while a process is watched, only its parent, us, can reap it.
 */
const SCRIPT = `
trap '' INT TERM HUP
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
  children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
  kill -KILL "$pid" $children 2>/dev/null
fi
tries=0
until rm -rf "$1" 2>/dev/null || [ "$tries" -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
`;

/** Kills one server process and removes its folder, at the latest when this process ends. */
export class Undertaker {
  private readonly shell: ChildProcess;
  private readonly ended: Promise<unknown>;

  constructor(folder: string) {
    this.shell = spawn('/bin/sh', ['-c', SCRIPT, 'undertaker', folder], {
      detached: true, // Ctrl-C reaches the whole process group: not this one.
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.ended = once(this.shell, 'exit');
    this.ended.catch(() => undefined); // A shell that can't start is reported by `watch`.
    this.shell.unref();
    this.shell.stdin?.on('error', () => undefined);
    unref(this.shell.stdin);
  }

  /** From now on this process is killed with us; undefined once it has ended. */
  watch(pid: number | undefined): void {
    if (this.shell.pid === undefined) throw new Error('/bin/sh can not be started.');
    this.shell.stdin?.write(`${pid ?? ''}\n`);
  }

  /** Kills what is watched, removes the folder and waits until that is done. */
  async finish(): Promise<void> {
    this.shell.ref();
    this.shell.stdin?.end();
    await this.ended;
  }
}

/** Pipes of a child process are sockets, which the types don't say. */
export function unref(stream: unknown): void {
  if (hasUnref(stream)) stream.unref();
}

function hasUnref(stream: unknown): stream is { unref(): void } {
  return (
    typeof stream === 'object' && stream !== null && 'unref' in stream && typeof stream.unref === 'function'
  );
}
