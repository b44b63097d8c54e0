// Writes the Lua scripts, with their includes, into scripts.generated.ts: bundlers lose files that are read at run time.
// `node generate-scripts.mjs` writes it, `node generate-scripts.mjs --check` fails when it is out of date.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const target = join(folder, 'scripts.generated.ts');
const generated = render();

if (!process.argv.includes('--check')) {
  writeFileSync(target, generated);
} else if (readFileSync(target, 'utf8') !== generated) {
  process.stderr.write('scripts.generated.ts is out of date: run `node generate-scripts.mjs` beside it.\n');
  process.exitCode = 1;
}

function render() {
  const scripts = readdirSync(folder)
    .filter((file) => file.endsWith('.lua'))
    .sort()
    .map((file) => script(file));
  return [
    '// Generated from the .lua files beside it by generate-scripts.mjs. Change those.',
    '// prettier-ignore',
    `export const SCRIPTS = {\n${scripts.join('\n')}\n} as const;`,
    '',
  ].join('\n');
}

function script(file) {
  const name = file.replace('.lua', '').replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
  const text = readFileSync(join(folder, file), 'utf8');
  const keys = text.match(/^-- KEYS\[\d+\]/gm).length;
  const source = minify(include(text));
  const sha = createHash('sha1').update(source).digest('hex');
  return `  ${name}: {\n    keys: ${keys},\n    sha: '${sha}',\n    source: ${JSON.stringify(source)},\n  },`;
}

function include(text) {
  return text.replace(/^-- @include (\S+)$/gm, (_, name) =>
    readFileSync(join(folder, 'includes', `${name}.lua`), 'utf8'),
  );
}

/** Comments and indentation stay here: an EVAL sends the whole source. */
function minify(text) {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('--'))
    .join('\n');
}
