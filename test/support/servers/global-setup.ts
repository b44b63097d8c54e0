import { provideServer } from './provide-servers';

/**
 * Before all tests. A server that can't be had fails the tests that start it, with the same sentence, and no other.
 */
export default async function globalSetup(): Promise<void> {
  const say = (line: string): void => console.log(line);
  await provideServer('redis', { say }).catch((error: Error) => say(error.message));
}
