// Makes what the benchmarks need (dependencies, the built library, the built benchmarks), and runs them.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bench = fileURLToPath(new URL('.', import.meta.url));
const root = join(bench, '..');
const library = join(bench, 'node_modules/nestjs-distributed-lock');

install(root);
install(bench);
buildLibrary();
rmSync(join(bench, 'dist'), { recursive: true, force: true });
tsc(bench, 'tsconfig.json');
run(process.execPath, [join(bench, 'dist/bench/src/main.js'), ...process.argv.slice(2)], root);

function install(folder) {
  const installed = join(folder, 'node_modules/.package-lock.json');
  const lockFile = join(folder, 'package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockFile).mtimeMs) return;
  run('npm', ['ci', ...(folder === bench ? ['--ignore-scripts'] : [])], folder);
}

/** As npm would install it: both builds, by tsc, where `require` and `import` find them by the package's own exports. */
function buildLibrary() {
  const source = join(root, 'libs/lock');
  rmSync(library, { recursive: true, force: true });
  tsc(source, 'tsconfig.cjs.json', '--outDir', join(library, 'dist/cjs'));
  tsc(source, 'tsconfig.esm.json', '--outDir', join(library, 'dist/esm'));
  writeFileSync(join(library, 'dist/esm/package.json'), '{ "type": "module" }\n');
  cpSync(join(source, 'package.json'), join(library, 'package.json'));
}

function tsc(folder, project, ...options) {
  run(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '--project', project, ...options],
    folder,
  );
}

function run(file, args, cwd) {
  const { status, error } = spawnSync(file, args, { cwd, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
