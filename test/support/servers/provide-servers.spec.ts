import { provideServer } from './provide-servers';
import { startRedis } from './redis-server';

describe('providing a server', () => {
  const path = process.env.PATH;

  afterEach(() => {
    process.env.PATH = path;
  });

  it('does nothing and says nothing when the binary is there', async () => {
    const said: string[] = [];
    await provideServer('redis', { say: (line) => said.push(line) });
    expect(said).toEqual([]);
  });

  it('says in one sentence how to get it where it can not be installed', async () => {
    process.env.PATH = '/nowhere';
    await expect(provideServer('redis', { say: () => undefined })).rejects.toThrow(
      /^Redis is missing: no "redis-server" in the PATH. Install it with "apt-get install redis-server"/,
    );
  });

  it('is asked for in the same sentence by a server that has no binary', async () => {
    process.env.PATH = '/nowhere';
    await expect(startRedis()).rejects.toThrow(/^Redis is missing: no "redis-server" in the PATH/);
  });
});
