import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answer } from './worker';

/** How long a worker may take beyond what it was asked to take, in milliseconds, before it counts as hung. */
const LIMIT = 60_000;
const KEPT_ERRORS = 2_000;

/** A process of its own that measures. */
export class Worker {
  private readonly pending = new Map<
    number,
    { resolve(result: unknown): void; reject(error: Error): void; readonly limit: NodeJS.Timeout }
  >();
  private readonly gone: Promise<void>;
  private lastId = 0;
  private errors = '';
  private end: Error | undefined;

  /** @param file the worker's file, relative to this benchmark's folder, without its ending. */
  constructor(file: string, nodeOptions: readonly string[] = []) {
    this.process = fork(join(__dirname, '..', `${file}.js`), [], {
      serialization: 'advanced',
      execArgv: [...nodeOptions],
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.errors = (this.errors + chunk.toString()).slice(-KEPT_ERRORS);
    });
    this.process.on('message', (answer: Answer) => this.hear(answer));
    this.gone = new Promise((resolve) => this.process.once('exit', () => resolve(this.ended())));
  }

  private readonly process: ChildProcess;

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Asks for an operation that takes about this many seconds. */
  ask<Result>(operation: string, input: unknown, seconds = 0): Promise<Result> {
    if (this.end !== undefined) return Promise.reject(this.end);
    this.lastId += 1;
    const id = this.lastId;
    return new Promise<Result>((resolve, reject) => {
      const limit = setTimeout(
        () => this.settle(id, new Error(`it did not answer "${operation}"`)),
        seconds * 1_000 + LIMIT,
      );
      this.pending.set(id, { resolve: resolve as (result: unknown) => void, reject, limit });
      this.process.send({ id, operation, input }, (error) => {
        if (error !== null) this.settle(id, error);
      });
    });
  }

  /** Ends the process at once. Harmless twice. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.gone;
  }

  private hear({ id, result, error }: Answer): void {
    this.settle(id, error === undefined ? undefined : new Error(error), result);
  }

  private settle(id: number, error: Error | undefined, result?: unknown): void {
    const question = this.pending.get(id);
    if (question === undefined) return;
    this.pending.delete(id);
    clearTimeout(question.limit);
    if (error === undefined) question.resolve(result);
    else question.reject(error);
  }

  private ended(): void {
    const reason = /^\w*Error.*$/m.exec(this.errors)?.[0] ?? 'no reason was given';
    this.end = new Error(`its process ended: ${reason}`);
    for (const id of [...this.pending.keys()]) this.settle(id, this.end);
  }
}

/** Processes of their own that are asked the same at the same time. */
export class Team {
  private readonly workers: readonly Worker[];

  constructor(file: string, size: number, nodeOptions: readonly string[] = []) {
    this.workers = Array.from({ length: size }, () => new Worker(file, nodeOptions));
  }

  /** Asks all of them. The input may depend on who is asked. */
  ask<Result>(operation: string, input: unknown, seconds = 0): Promise<Result[]> {
    const inputOf = typeof input === 'function' ? (input as (index: number) => unknown) : () => input;
    return Promise.all(
      this.workers.map((worker, index) => worker.ask<Result>(operation, inputOf(index), seconds)),
    );
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill()));
  }
}
