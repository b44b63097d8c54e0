import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { within } from '../patience.js';
import type { WorkerFile } from '../strategy-under-test.js';
import { Contender, ContenderError, type ContenderLine } from './contender.js';
import type { ContenderMessage, ContenderQuestion } from './contender-message.js';

/** How long a worker may take to start, in milliseconds: a slow machine compiles TypeScript here. */
const START_LIMIT = 60_000;

/** A contender in a process of its own, which can be killed and frozen. */
export class ProcessContender extends Contender {
  /** @param patience - milliseconds that its strategy may take to close, and its process to end afterwards */
  static async start(worker: WorkerFile, patience: number): Promise<ProcessContender> {
    const line = new ProcessLine(worker);
    await line.ready;
    return new ProcessContender(line, patience);
  }

  private constructor(
    protected override readonly line: ProcessLine,
    private readonly patience: number,
  ) {
    super(line);
  }

  get isAlive(): boolean {
    return this.line.isAlive;
  }

  /** Ends the process with SIGKILL and waits until it is gone. */
  async kill(): Promise<void> {
    this.line.child.kill('SIGKILL');
    await this.line.gone;
  }

  /**
   * Stops the process with SIGSTOP. A shell does so and lets it go on when we do: also when we end in the meantime, or
   * a stopped process would be left behind that not even the end of its parent ends.
   *
   * @returns what lets it go on.
   */
  async freeze(): Promise<() => Promise<void>> {
    const shell = spawn('/bin/sh', ['-c', FREEZE, 'freeze', String(this.line.child.pid)], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const ended = once(shell, 'exit');
    await once(shell.stdout, 'data');
    return async () => {
      shell.stdin.end();
      await ended;
    };
  }

  /** Closes the strategy; then the process has to end by itself, or something was left open. */
  override async close(): Promise<void> {
    if (!this.isAlive) return;
    try {
      await within('the strategy closes', this.patience, super.close());
      this.line.child.disconnect();
      await within('the process ends by itself once its strategy is closed', this.patience, this.line.gone);
    } finally {
      await this.kill();
    }
  }
}

const FREEZE = `trap '' INT TERM HUP; kill -STOP "$1" && echo frozen; read -r _; kill -CONT "$1"`;

class ProcessLine implements ContenderLine {
  readonly child: ChildProcess;
  /** Resolves when the process takes commands. */
  readonly ready: Promise<void>;
  /** Resolves when the process has ended. */
  readonly gone: Promise<void>;
  isAlive = true;
  private readonly questions = new Map<number, Settle>();
  private lastId = 0;
  private errors = '';

  constructor({ file, execArgv = [], env }: WorkerFile) {
    this.child = fork(file, [], {
      execArgv: [...execArgv],
      env: { ...process.env, ...env?.() },
      // Keeps Infinity and undefined as they are, which JSON does not.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.errors = (this.errors + chunk.toString()).slice(-4_000)),
    );
    this.gone = new Promise((resolve) => {
      this.child.once('exit', () => {
        this.isAlive = false;
        for (const { reject } of this.questions.values()) reject(this.endedError());
        this.questions.clear();
        resolve();
      });
    });
    const started = new Promise<void>((resolve, reject) => {
      this.child.on('message', (message: ContenderMessage) => this.hear(message, { resolve, reject }));
      this.child.once('error', reject);
      void this.gone.then(() => reject(this.endedError()));
    });
    this.ready = within(`${file} starts`, START_LIMIT, started).catch((error: unknown) => {
      this.child.kill('SIGKILL');
      throw error;
    });
  }

  ask(command: ContenderQuestion['command']): Promise<never> {
    if (!this.isAlive) return Promise.reject(this.endedError());
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.questions.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      this.child.send({ id, command } satisfies ContenderQuestion, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  private hear(
    message: ContenderMessage,
    starting: { resolve: () => void; reject: (error: Error) => void },
  ): void {
    if (message.kind === 'ready') return starting.resolve();
    if (message.kind === 'failed') return starting.reject(new ContenderError(message.failure));
    const question = this.questions.get(message.id);
    this.questions.delete(message.id);
    if (message.kind === 'answer') question?.resolve(message.answer);
    else question?.reject(new ContenderError(message.failure));
  }

  private endedError(): Error {
    const how = this.child.exitCode ?? this.child.signalCode;
    return new Error(`The worker process ended (${how}).\n${this.errors}`);
  }
}

interface Settle {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}
