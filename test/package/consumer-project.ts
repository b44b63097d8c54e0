import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Consumer, Format, Resolution } from './consumers.js';
import { ROOT } from './packed-library.js';
import { endingOf, type Program, run } from './program.js';

const LIBRARY = 'nestjs-distributed-lock';
const JEST_PROGRAM = join(ROOT, 'node_modules/jest/bin/jest.js');

/** What the scene prints when it has been played to its end; one that ends too soon may end with code 0, too. */
const PLAYED = 'played to the end';

const MAIN = `import { play } from './play.js';
play().then(
  () => process.stdout.write('${PLAYED}\\n'),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
`;

const JEST = `import { play } from './play.js';
declare function it(title: string, test: () => Promise<void>, limit: number): void;
it('plays', () => play(), 60_000);
`;

/** Where the servers are, and what is this scene's own on them. */
export type SceneEnvironment = Readonly<
  Record<'REDIS_URL' | 'QUORUM_URLS' | 'POSTGRES_URL' | 'LOCK_PREFIX', string>
>;

/** A consumer's project in a folder of its own: installed by npm, compiled by its own tsc, run. */
export class ConsumerProject {
  constructor(
    readonly consumer: Consumer,
    readonly folder: string,
  ) {}

  /** Installs the packed library and what the consumer has beside it, and nothing else. */
  async install(tarball: string): Promise<string> {
    const { dependencies, formats, without } = this.consumer;
    mkdirSync(this.folder, { recursive: true });
    this.write('package.json', {
      ...{ name: 'consumer', private: true },
      dependencies: { ...dependencies, [LIBRARY]: `file:${tarball}` },
    });
    await run({
      file: 'npm',
      args: [
        'install',
        '--no-audit',
        '--no-fund',
        '--prefer-offline',
        '--ignore-scripts',
        '--loglevel=error',
      ],
      cwd: this.folder,
      limit: 300_000,
    });
    const uninvited = without.filter((name) => existsSync(join(this.folder, 'node_modules', name)));
    if (uninvited.length > 0) throw new Error(`Installed without being asked for: ${uninvited.join(', ')}`);
    for (const format of formats) this.lay(format);
    const { version } = this.manifestOf('@nestjs/core');
    return version;
  }

  /** Compiles what is run, types and all. */
  async compile(format: Format): Promise<string> {
    const [resolution] = this.consumer.resolutions;
    await run(this.tsc(format, resolution, { noEmit: false }));
    return `tsc ${this.manifestOf('typescript').version}`;
  }

  /** Type-checks the scene. */
  async check(format: Format, resolution: Resolution): Promise<string> {
    await run(this.tsc(format, resolution, { noEmit: true }));
    return 'clean';
  }

  /** Type-checks the library's declarations, too. Those of other packages may be wrong without what is not installed. */
  async checkDeclarations(format: Format): Promise<string> {
    const [resolution] = this.consumer.resolutions;
    const { output } = await endingOf(this.tsc(format, resolution, { noEmit: true, skipLibCheck: false }));
    const ours = output
      .split('\n')
      .filter((line) => /error TS/.test(line) && isOurs(line, this.consumer.play));
    if (ours.length > 0) throw new Error(ours.join('\n'));
    return 'clean';
  }

  /** Runs the scene in a process of its own, which has to end by itself. */
  async play(format: Format, node: string, environment: SceneEnvironment): Promise<string> {
    return this.playFile(join(folderOf(format), 'main.js'), node, environment);
  }

  async playFile(file: string, node: string, environment: SceneEnvironment): Promise<string> {
    const started = performance.now();
    const output = await run({
      file: node,
      args: [file],
      cwd: this.folder,
      env: { ...environment, NODE_OPTIONS: '--unhandled-rejections=strict' },
      limit: 90_000,
    });
    if (!output.includes(PLAYED)) throw new Error(`The process ended before the scene did:\n${output}`);
    return `${((performance.now() - started) / 1_000).toFixed(1)} s`;
  }

  /** Runs the scene in jest: as CommonJS, where jest has to compile the packages that are ESM only, or as ESM. */
  async jest(format: Format, environment: SceneEnvironment): Promise<string> {
    const isEsmOnly = this.manifestOf('@nestjs/core').type === 'module';
    const swc = [require.resolve('@swc/jest'), { module: { type: 'commonjs' }, jsc: { target: 'es2022' } }];
    const compiles = format === 'CommonJS' && isEsmOnly;
    const config = {
      rootDir: join(this.folder, folderOf(format)),
      testRegex: 'play\\.jest\\.js$',
      transform: compiles ? { '^.+\\.js$': swc } : {},
      transformIgnorePatterns: ['/node_modules/(?!@nestjs/)'],
    };
    await run({
      file: process.execPath,
      args: [JEST_PROGRAM, '--config', JSON.stringify(config), '--runInBand'],
      cwd: this.folder,
      env: {
        ...environment,
        NODE_OPTIONS: format === 'ESM' ? '--experimental-vm-modules' : '',
        JEST_WORKER_ID: '1',
      },
      limit: 60_000,
    });
    return 'passed';
  }

  /** Runs tests of the library itself with the TypeORM of this project. */
  async spec(file: string): Promise<string> {
    const ours = createRequire(join(ROOT, 'package.json'))('./jest.config.js') as {
      readonly moduleNameMapper: object;
    };
    const config = {
      ...ours,
      moduleNameMapper: { ...ours.moduleNameMapper, '^typeorm$': join(this.folder, 'node_modules/typeorm') },
    };
    await run({
      file: process.execPath,
      args: [JEST_PROGRAM, '--config', JSON.stringify(config), '--runInBand', join(ROOT, file)],
      cwd: ROOT,
      limit: 240_000,
    });
    return `TypeORM ${this.manifestOf('typeorm').version}`;
  }

  /** Does something while no installed file is there: a bundle may know where it was made, and read what it lacks. */
  async withoutModules<T>(work: () => Promise<T>): Promise<T> {
    const modules = join(this.folder, 'node_modules');
    renameSync(modules, `${modules}.away`);
    try {
      return await work();
    } finally {
      renameSync(`${modules}.away`, modules);
    }
  }

  main(format: Format): string {
    return join(this.folder, folderOf(format), 'main.js');
  }

  private lay(format: Format): void {
    const folder = join(this.folder, folderOf(format));
    mkdirSync(folder);
    if (format === 'ESM') writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
    cpSync(join(__dirname, `consumer/${this.consumer.play}.play.ts`), join(folder, 'play.ts'));
    writeFileSync(join(folder, 'main.ts'), MAIN);
    writeFileSync(join(folder, 'play.jest.ts'), JEST);
  }

  private tsc(format: Format, resolution: Resolution, options: Readonly<Record<string, boolean>>): Program {
    const { name, module, moduleResolution } = resolution;
    const config = `tsconfig.${folderOf(format)}.${name}.${Object.values(options).join('-')}.json`;
    this.write(config, {
      compilerOptions: {
        ...{ target: 'es2022', module, moduleResolution, strict: true, skipLibCheck: true, types: ['node'] },
        ...{ experimentalDecorators: true, emitDecoratorMetadata: true, esModuleInterop: true },
        ...options,
      },
      files: ['main.ts', 'play.jest.ts'].map((file) => join(folderOf(format), file)),
    });
    const tsc = join(this.folder, 'node_modules/typescript/bin/tsc');
    return { file: process.execPath, args: [tsc, '-p', config], cwd: this.folder, limit: 180_000 };
  }

  private manifestOf(name: string): { readonly version: string; readonly type?: string } {
    return JSON.parse(readFileSync(join(this.folder, 'node_modules', name, 'package.json'), 'utf8')) as never;
  }

  private write(file: string, content: object): void {
    writeFileSync(join(this.folder, file), `${JSON.stringify(content, undefined, 2)}\n`);
  }
}

function folderOf(format: Format): string {
  return format === 'ESM' ? 'esm' : 'cjs';
}

/** The entries that the scene imports load only declarations whose packages are there. */
function isOurs(line: string, play: string): boolean {
  return line.includes(`node_modules/${LIBRARY}/`) || line.includes(`${play}.ts`);
}
