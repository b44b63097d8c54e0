import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../../src/config/environment.js';
import type { ServerCommand } from '../../test/support/servers/server-process.js';
import { ThrowawayServer } from '../../test/support/servers/throwaway-server.js';
import { throwawayFolder } from '../../src/database/unprivileged-user.js';

const PROJECT = join(__dirname, '../..');
const BUILT_SHOP = join(PROJECT, 'dist/shop/src/main.js');

/** The scripts that can be loaded into a server before the shop. */
export type Preload = 'arrival-stamp' | 'late-clock';

export interface ShopServerOptions {
  readonly environment: Partial<Environment>;
  readonly preload?: Preload;
}

/** Starts the built shop as a process of its own. */
export async function startShopServer(options: ShopServerOptions): Promise<ShopServer> {
  if (!existsSync(BUILT_SHOP)) throw new Error('The shop is not built: run "npm run build" first');
  const server = new ShopServer(options);
  await server.start();
  return server;
}

export class ShopServer extends ThrowawayServer {
  constructor(private readonly options: ShopServerOptions) {
    super(throwawayFolder('shop'));
  }

  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  protected command(port: number): ServerCommand {
    const { environment, preload } = this.options;
    const settings = { ...environment, HOST: this.host, PORT: port };
    return {
      file: process.execPath,
      args: [...(preload ? ['--require', join(PROJECT, `demo/preload/${preload}.js`)] : []), BUILT_SHOP],
      cwd: this.folder,
      env: {
        // What the caller's own environment says must not reach the scene.
        NODE_ENV: '',
        NODE_OPTIONS: '',
        ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
      },
      ready: /ready: (web|batch)/,
    };
  }
}
