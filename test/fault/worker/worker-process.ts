import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { WorkerCommand, WorkerPlan } from './worker-plan';

const KEPT_OUTPUT = 8_000;
/** Milliseconds: a machine under load compiles TypeScript here. */
const START_LIMIT = 60_000;

/** One life of a worker, which can be ended, killed and stopped. */
export class WorkerProcess {
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  private output = '';
  private isGone = false;
  private isToldToEnd = false;

  static async start(plan: WorkerPlan): Promise<WorkerProcess> {
    const child = fork(join(__dirname, 'fault-worker.ts'), [JSON.stringify(plan)], {
      execArgv: ['--import', 'tsx', '--max-semi-space-size=4'],
      // Nest's logger would colour and print each warning of an unreachable store.
      env: { ...process.env, NODE_ENV: 'test', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const worker = new WorkerProcess(child, plan);
    await worker.ready();
    return worker;
  }

  private constructor(
    private readonly child: ChildProcess,
    readonly plan: WorkerPlan,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on(
        'data',
        (data: Buffer) => (this.output = (this.output + data.toString()).slice(-KEPT_OUTPUT)),
      );
    }
    this.gone = once(child, 'exit').then(() => {
      this.isGone = true;
    });
  }

  get alive(): boolean {
    return !this.isGone;
  }

  /** Whether it ended by itself, with everything closed. */
  get endedWell(): boolean {
    return this.child.exitCode === 0;
  }

  /** The last that it printed. */
  get said(): string {
    return this.output;
  }

  /** Whether it ended though nobody had told it to: an error that nobody caught, for example. */
  get endedUnasked(): boolean {
    return this.isGone && !this.isToldToEnd;
  }

  tell(command: WorkerCommand): void {
    this.isToldToEnd = true;
    if (this.child.connected) this.child.send(command, () => undefined);
  }

  async kill(): Promise<void> {
    this.isToldToEnd ||= this.alive;
    this.child.kill('SIGKILL');
    await this.gone;
  }

  /**
   * Stops the process with SIGSTOP. A shell does so and lets it go on when it hears from us, or no more of us: a stopped
   * process doesn't notice that its parent is gone, and would stay for ever.
   *
   * @returns what lets it go on.
   */
  async freeze(): Promise<() => Promise<void>> {
    const shell = spawn('/bin/sh', ['-c', FREEZE, 'freeze', String(this.child.pid)], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const ended = once(shell, 'exit');
    // Nobody is there to be stopped where it ended meanwhile.
    await Promise.race([once(shell.stdout, 'data'), ended, this.gone]);
    return async () => {
      shell.stdin.end();
      await ended;
    };
  }

  private async ready(): Promise<void> {
    let limit: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new Error(`${this.plan.process} did not start.`)), START_LIMIT);
    });
    const ended = this.gone.then(() => {
      throw new Error(`${this.plan.process} ended at its start:\n${this.output}`);
    });
    try {
      await Promise.race([once(this.child, 'message'), late, ended]);
    } catch (error) {
      await this.kill();
      throw error;
    } finally {
      clearTimeout(limit);
    }
  }
}

const FREEZE = `trap '' INT TERM HUP; kill -STOP "$1" && echo frozen; read -r _; kill -CONT "$1"`;
