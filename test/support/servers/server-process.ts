import { type ChildProcess, spawn } from 'node:child_process';
import { eventually } from '../eventually';
import { childrenOf, isAlive, sendSignal } from './process-tree';
import { unref } from './undertaker';

/** What to start, and how to see that it is ready. */
export interface ServerCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly user?: { readonly uid: number; readonly gid: number };
  /** The line of its log that says that it takes connections. */
  readonly ready: RegExp;
  /** What asks it to end. @defaultValue SIGTERM */
  readonly stopSignal?: NodeJS.Signals;
}

/** How long a server may take until it is ready, in milliseconds: a loaded machine with two cores, not a goal. */
const START_LIMIT = 60_000;
const STOP_LIMIT = 10_000;
const KEPT_LOG_LENGTH = 20_000;

/** The server ended before it was ready. */
export class ServerStartError extends Error {
  readonly portTaken: boolean;

  constructor(command: ServerCommand, reason: string, log: string) {
    super(`${command.file} ${reason}:\n${log.trim()}`);
    this.name = 'ServerStartError';
    this.portTaken = /address already in use|in use by another/i.test(log);
  }
}

/** One run of a server's process, with the processes that it starts itself. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves when the process is gone, however it went. */
  readonly ended: Promise<void>;
  private isEnded = false;
  private log = '';

  /** Resolves when the server takes connections. `started` hears of the process before that. */
  static async start(
    command: ServerCommand,
    started: (server: ServerProcess) => void,
  ): Promise<ServerProcess> {
    const child = spawn(command.file, command.args, {
      cwd: command.cwd,
      env: { ...process.env, ...command.env },
      ...command.user,
      detached: true, // Ctrl-C stops the tests, and they, or their undertaker, stop the server.
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { pid } = child;
    if (pid === undefined) throw await spawnError(child);
    const server = new ServerProcess(child, pid, command.stopSignal ?? 'SIGTERM');
    started(server);
    await server.becomesReady(command, child);
    return server;
  }

  private constructor(
    child: ChildProcess,
    pid: number,
    private readonly stopSignal: NodeJS.Signals,
  ) {
    this.pid = pid;
    this.ended = new Promise((resolve) => {
      child.once('exit', () => {
        this.isEnded = true;
        resolve();
      });
    });
    child.unref();
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.log = (this.log + chunk.toString()).slice(-KEPT_LOG_LENGTH);
      });
      unref(stream);
    }
  }

  get alive(): boolean {
    return !this.isEnded;
  }

  /** The last lines that the server wrote. */
  get output(): string {
    return this.log;
  }

  /** Asks the server to end; kills it when it does not. */
  async stop(): Promise<void> {
    if (this.isEnded) return;
    const limit = setTimeout(() => this.signal('SIGKILL'), STOP_LIMIT);
    this.signal(this.stopSignal);
    await this.waitForExit();
    clearTimeout(limit);
  }

  /** Ends the server and its own children at once, as a power failure would. */
  async kill(): Promise<void> {
    const children = this.children();
    this.signal('SIGKILL');
    children.forEach((pid) => sendSignal(pid, 'SIGKILL'));
    await this.waitForExit();
    await eventually('its children end', () => !children.some(isAlive), STOP_LIMIT);
  }

  /** Stops the server's clock. Its parent is stopped first, or it would go on making children. */
  pause(): void {
    this.signal('SIGSTOP');
    this.children().forEach((pid) => sendSignal(pid, 'SIGSTOP'));
  }

  resume(): void {
    this.children().forEach((pid) => sendSignal(pid, 'SIGCONT'));
    this.signal('SIGCONT');
  }

  private signal(name: NodeJS.Signals): void {
    if (!this.isEnded) sendSignal(this.pid, name);
  }

  /** PostgreSQL puts each child into a session of its own, so the process group is no way to reach them. */
  private children(): number[] {
    return this.isEnded ? [] : childrenOf(this.pid);
  }

  private async waitForExit(): Promise<void> {
    // The child is not referenced, and an empty event loop would end this process in the middle of the waiting.
    const alive = setInterval(() => undefined, 1_000);
    await this.ended;
    clearInterval(alive);
  }

  private async becomesReady(command: ServerCommand, child: ChildProcess): Promise<void> {
    const settled = (): boolean => command.ready.test(this.log) || this.isEnded;
    const inTime = await eventually('it is ready', settled, START_LIMIT).then(
      () => true,
      () => false,
    );
    if (inTime && !this.isEnded) return;
    if (!this.isEnded) await this.kill();
    const reason = inTime
      ? `ended with ${child.exitCode ?? child.signalCode} before it was ready`
      : `was not ready within ${START_LIMIT} ms`;
    throw new ServerStartError(command, reason, this.log);
  }
}

function spawnError(child: ChildProcess): Promise<Error> {
  return new Promise((resolve) => child.once('error', resolve));
}
