// Builds what is published: the library as ES modules and as CommonJS, and the texts of the repository beside it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

// A file whose source is gone or renamed would be published for ever.
rmSync(join(folder, 'dist'), { recursive: true, force: true });
for (const project of ['tsconfig.esm.json', 'tsconfig.cjs.json']) {
  execFileSync(process.execPath, [tsc, '--project', join(folder, project)], { stdio: 'inherit' });
}
// The nearest package.json says what a .js file is, and the package's own says CommonJS.
writeFileSync(join(folder, 'dist/esm/package.json'), '{ "type": "module" }\n');
for (const text of ['README.md', 'LICENSE']) {
  const source = join(folder, '../..', text);
  copyFileSync(source, join(folder, text));
}
