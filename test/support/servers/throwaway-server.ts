import { freePort } from '../../../src/database/free-port';
import { type ServerCommand, ServerProcess, ServerStartError } from './server-process';
import { Undertaker } from './undertaker';

const PORT_ATTEMPTS = 10;

/** The servers that this file started, where the test environment finds them at its end, outside of the sandbox. */
const REGISTRY = Symbol.for('nestjs-distributed-lock:throwaway-servers');

/**
 * A server of our own: a process on a free loopback port, with a folder that is removed with it. It is stopped by
 * `stop()`, else at the end of the test file, else with this process, however that ends.
 */
export abstract class ThrowawayServer {
  readonly host = '127.0.0.1';
  private currentPort: number | undefined;
  private process: ServerProcess | undefined;
  private readonly undertaker: Undertaker;

  protected constructor(readonly folder: string) {
    this.undertaker = new Undertaker(folder);
    startedServers(globalThis).add(this);
  }

  get port(): number {
    if (this.currentPort === undefined) throw new Error('The server was not started.');
    return this.currentPort;
  }

  get pid(): number {
    return this.running().pid;
  }

  /** Starts the server for the first time; leaves nothing behind when it can't. */
  async start(): Promise<void> {
    try {
      await this.prepare();
      await this.launch();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops the server and removes its data. Harmless twice. */
  async stop(): Promise<void> {
    if (!startedServers(globalThis).delete(this)) return;
    this.process?.resume();
    await this.process?.stop();
    await this.undertaker.finish();
  }

  /** Kills the server with SIGKILL. Its data stays for a `restart`. */
  async kill(): Promise<void> {
    await this.process?.kill();
  }

  /** Stops the server with SIGSTOP: connections stay open, and nobody answers. */
  pause(): void {
    this.running().pause();
  }

  resume(): void {
    this.running().resume();
  }

  /** Ends the server orderly, as its own shutdown does. */
  protected async shutDown(): Promise<void> {
    this.process?.resume();
    await this.process?.stop();
  }

  /** Starts the process; after the first time on the same port again. */
  protected async launch(): Promise<void> {
    const keptPort = this.currentPort;
    for (let attempt = 1; ; attempt += 1) {
      const port = keptPort ?? (await freePort());
      try {
        this.process = await ServerProcess.start(this.command(port), (server) => this.entrust(server));
        this.currentPort = port;
        return;
      } catch (error) {
        const again = error instanceof ServerStartError && error.portTaken && attempt < PORT_ATTEMPTS;
        if (!again) throw error;
        await new Promise((resolve) => setTimeout(resolve, keptPort === undefined ? 0 : 200));
      }
    }
  }

  /** Fills the folder with what the server needs before it can start. */
  protected async prepare(): Promise<void> {}

  protected abstract command(port: number): ServerCommand;

  private entrust(server: ServerProcess): void {
    this.undertaker.watch(server.pid);
    void server.ended.then(() => this.undertaker.watch(undefined));
  }

  private running(): ServerProcess {
    if (this.process?.alive !== true) throw new Error('The server is not running.');
    return this.process;
  }
}

/** Stops every server that the code in this realm has started and not stopped. */
export async function stopServersOf(realm: object): Promise<void> {
  await Promise.all([...startedServers(realm)].map((server) => server.stop()));
}

function startedServers(realm: object): Set<ThrowawayServer> {
  const registered = realm as { [REGISTRY]?: Set<ThrowawayServer> };
  return (registered[REGISTRY] ??= new Set());
}
