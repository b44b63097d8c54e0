import { TestEnvironment } from 'jest-environment-node';
import { stopServersOf } from './throwaway-server';

/**
 * Jest's environment for Node, which stops the servers that a test file leaves behind, failed or not. A hook would
 * not do: one that is registered by an import runs before the file's own `afterAll`, which may still need the server.
 */
export default class ServerEnvironment extends TestEnvironment {
  override async teardown(): Promise<void> {
    await stopServersOf(this.global);
    await super.teardown();
  }
}
