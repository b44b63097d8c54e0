import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { BuyerAnswer, BuyerCommand } from './buyer-command';

/** A buyer in a process of its own, which can be stopped in the middle. */
export class Buyer {
  private readonly child: ChildProcess;

  constructor(addresses: { readonly database: string; readonly redis: string }) {
    this.child = fork(require.resolve('./buyer.worker'), [], {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, BUYER_DATABASE_URL: addresses.database, BUYER_REDIS_URL: addresses.redis },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  async tell(command: BuyerCommand): Promise<string> {
    const answered = once(this.child, 'message') as Promise<[BuyerAnswer]>;
    this.child.send(command);
    const [{ outcome }] = await answered;
    return outcome;
  }

  stop(): void {
    this.child.kill('SIGSTOP');
  }

  goOn(): void {
    this.child.kill('SIGCONT');
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}
