import { readFileSync } from 'node:fs';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import type { Findings } from './findings.js';
import type { PackedLibrary } from './packed-library.js';

const SUBJECT = 'the package';

/** More than this is a sign that something got in that nobody needs. */
const MOST_BYTES = 2_500_000;

/** All that belongs into the package: what runs, its types, and the texts. */
const WANTED =
  /^(dist\/(esm|cjs)\/.+\.(js|d\.ts)|dist\/esm\/package\.json|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
const UNWANTED = /\.spec\.|-types\.test|__tests__/;
const NEEDED = ['README.md', 'LICENSE', 'dist/esm/package.json', 'dist/esm/index.js', 'dist/cjs/index.js'];

/** Looks at the package itself: its files, its manifest, and its types in every way of resolving them. */
export async function checkLibrary(library: PackedLibrary, findings: Findings): Promise<void> {
  await findings.add(SUBJECT, 'files', () => Promise.resolve(filesOf(library)));
  await findings.add(SUBJECT, 'publint', () => publintSays(library));
  await findings.add(SUBJECT, 'attw', () => typesAreRight(library));
}

function filesOf({ files, size }: PackedLibrary): string {
  const strange = files.filter((file) => !WANTED.test(file) || UNWANTED.test(file));
  if (strange.length > 0) throw new Error(`Nobody needs these files:\n${strange.join('\n')}`);
  const missing = NEEDED.filter((file) => !files.includes(file));
  if (missing.length > 0) throw new Error(`Files are missing: ${missing.join(', ')}`);
  if (size > MOST_BYTES) throw new Error(`${size} bytes, more than ${MOST_BYTES}`);
  return `${files.length}, ${Math.round(size / 1_000)} kB`;
}

async function publintSays({ tarball }: PackedLibrary): Promise<string> {
  const { messages, pkg } = await publint({ pack: { tarball: bytesOf(tarball) }, strict: true });
  const texts = messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code);
  if (texts.length > 0) throw new Error(texts.join('\n'));
  return 'clean';
}

async function typesAreRight({ tarball }: PackedLibrary): Promise<string> {
  // Not by require, which some package below it does not know.
  const { checkPackage, createPackageFromTarballData } = await import('@arethetypeswrong/core');
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(bytesOf(tarball))));
  if (analysis.types === false) throw new Error('The package has no types.');
  const { entrypoints, problems } = analysis;
  if (problems.length > 0) throw new Error(problems.map((problem) => JSON.stringify(problem)).join('\n'));
  return `${Object.keys(entrypoints).length} entries clean`;
}

function bytesOf(file: string): ArrayBuffer {
  return Uint8Array.from(readFileSync(file)).buffer;
}
