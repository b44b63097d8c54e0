import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { howToGet } from './server-package';
import type { ServerCommand } from './server-process';
import { ThrowawayServer } from './throwaway-server';
import { throwawayFolder } from '../../../src/database/unprivileged-user';

export interface RedisServerOptions {
  /** Further arguments, for example `['--appendonly', 'yes']`. */
  readonly args?: readonly string[];
}

/** A Redis of our own on a free loopback port. It writes nothing to the disk while it runs. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(options.args ?? []);
  await server.start().catch((error: unknown) => {
    throw howToGet('redis', error);
  });
  return server;
}

export class RedisServer extends ThrowawayServer {
  constructor(private readonly args: readonly string[]) {
    super(throwawayFolder('redis'));
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  /**
   * Ends the server and starts it again on the same port: orderly with its data, or by SIGKILL and empty. After a
   * `kill()` only what the server wrote itself is kept, and that is nothing without `--appendonly`.
   */
  async restart({ keepData }: { readonly keepData: boolean }): Promise<void> {
    if (keepData) await this.shutDown();
    else await this.forget();
    await this.launch();
  }

  protected command(port: number): ServerCommand {
    return {
      file: 'redis-server',
      args: [
        ...['--port', String(port), '--bind', this.host, '--dir', this.folder, '--daemonize', 'no'],
        // A rule that never comes true: nothing is saved while it runs, and SIGTERM saves for a restart.
        ...['--save', '31536000 1000000000'],
        ...this.args,
      ],
      cwd: this.folder,
      ready: /Ready to accept connections/,
    };
  }

  private async forget(): Promise<void> {
    await this.kill();
    for (const file of ['dump.rdb', 'appendonlydir', 'appendonly.aof']) {
      rmSync(join(this.folder, file), { recursive: true, force: true });
    }
  }
}
