import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import webpack from 'webpack';

export const BUNDLERS = ['esbuild', 'webpack'] as const;

const LIBRARY = 'node_modules/nestjs-distributed-lock/';

export type Bundler = (typeof BUNDLERS)[number];

/** What Nest and debug look for at run time and do without: nobody bundles it. */
const LAZY =
  /^(@nestjs\/(microservices|websockets|platform-\w+)(\/.*)?|class-(transformer|validator)(\/.*)?|@fastify\/.*|supports-color)$/;

/**
 * Bundles a program with everything that it imports into one file, in a folder where nothing is installed: what the
 * library would read at run time is not there.
 *
 * @returns the path of the file
 */
export async function bundle(bundler: Bundler, entry: string, folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  const file = `${bundler}.js`;
  if (bundler === 'esbuild') await bundleWithEsbuild(entry, join(folder, file));
  else await bundleWithWebpack(entry, folder, file);
  return join(folder, file);
}

async function bundleWithEsbuild(entry: string, outfile: string): Promise<void> {
  const { warnings } = await build({
    ...{ entryPoints: [entry], outfile, bundle: true, platform: 'node', target: 'node20' },
    // Not the identifiers: see below.
    ...{ minifyWhitespace: true, minifySyntax: true },
    logLevel: 'silent',
    plugins: [
      {
        name: 'lazy',
        setup: ({ onResolve }) => onResolve({ filter: LAZY }, ({ path }) => ({ path, external: true })),
      },
    ],
  });
  const ours = warnings.filter(({ location }) => location?.file.includes(LIBRARY));
  if (ours.length > 0) throw new Error(ours.map(({ text }) => text).join('\n'));
}

async function bundleWithWebpack(entry: string, path: string, filename: string): Promise<void> {
  const compiler = webpack({
    ...{ entry, mode: 'production', target: 'node', output: { path, filename }, devtool: false },
    // The names of parameters are read from the source of the class: minified code has keys like 'stock:<0>'.
    optimization: { minimize: false },
    externals: [
      ({ request = '' }, done) => (LAZY.test(request) ? done(undefined, `commonjs ${request}`) : done()),
    ],
  });
  if (compiler === null) throw new Error('webpack made no compiler');
  const stats = await new Promise<webpack.Stats>((resolve, reject) => {
    compiler.run((error, result) => {
      compiler.close(() =>
        result === undefined ? reject(error ?? new Error('no result')) : resolve(result),
      );
    });
  });
  const { errors = [], warnings = [] } = stats.toJson({ errors: true, warnings: true });
  const ours = warnings.filter(({ moduleName = '' }) => moduleName.includes(LIBRARY));
  const problems = [...errors, ...ours].map(({ message }) => message);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}
