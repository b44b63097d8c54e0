import { createServer } from 'node:net';

/**
 * A loopback port that nobody listens on now. Somebody else may take it before the caller does: whoever uses it tries
 * again with another when binding fails with EADDRINUSE.
 */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.');
  return address.port;
}
