import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from './program.js';

export const ROOT = resolve(__dirname, '../..');

/** The library as it would be published, in a folder of its own outside of this repository. */
export interface PackedLibrary {
  readonly tarball: string;
  /** The paths of the files inside. */
  readonly files: readonly string[];
  /** The unpacked size in bytes. */
  readonly size: number;
}

/** A folder for everything that is built and installed here, outside of this repository. */
export function workFolder(): string {
  return mkdtempSync(join(tmpdir(), 'nestjs-distributed-lock-package-'));
}

/** Removes such a folder. */
export function removeWorkFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Builds the library and packs it. */
export async function packLibrary(folder: string): Promise<PackedLibrary> {
  const output = await run({
    file: 'npm',
    args: ['pack', '--json', '--pack-destination', folder],
    cwd: join(ROOT, 'libs/lock'),
    limit: 300_000,
  });
  // What the build says comes before.
  const [packed] = Object.values(
    JSON.parse(output.slice(output.search(/^[[{]$/m))) as Record<string, Packed>,
  );
  return {
    tarball: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path),
    size: packed.unpackedSize,
  };
}

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
  readonly unpackedSize: number;
}
