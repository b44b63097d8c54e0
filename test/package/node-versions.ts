import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './program.js';

/** A Node to run scenes with. */
export interface NodeVersion {
  readonly name: string;
  readonly file: string;
}

/** The Nodes to have beside our own, as the npm packages that ship them. */
const FURTHER = [22, 24];

/** Our own Node, and further ones from npm. */
export async function nodeVersions(folder: string): Promise<readonly NodeVersion[]> {
  const own = Number(process.versions.node.split('.')[0]);
  const further = FURTHER.filter((major) => major !== own);
  const packageName = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  mkdirSync(folder, { recursive: true });
  const dependencies = further.map((major) => [`node-${major}`, `npm:${packageName}@${major}`]);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({
      name: 'nodes',
      private: true,
      dependencies: Object.fromEntries(dependencies) as object,
    }),
  );
  await run({
    file: 'npm',
    args: ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'],
    cwd: folder,
    limit: 300_000,
  });
  return [
    { name: `Node ${own}`, file: process.execPath },
    ...further.map((major) => ({
      name: `Node ${major}`,
      file: join(folder, 'node_modules', `node-${major}`, 'bin/node'),
    })),
  ];
}
