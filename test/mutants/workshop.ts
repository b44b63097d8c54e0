import { execFile, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import type { Edit, NamedTest } from './mutants';

const ROOT = resolve(__dirname, '../..');

/** All that the tests need, but for the packages, which are linked. */
const COPIED = ['libs', 'src', 'test', 'demo', 'package.json', 'jest.config.js', 'tsconfig.json'];

/** What a test said. */
export type Verdict =
  | { readonly passed: true }
  | { readonly passed: false; readonly messages: string }
  | { readonly passed: 'too late' }
  | { readonly passed: 'did not run'; readonly output: string };

interface JestResults {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** A copy of the project in which things may be broken. */
export class Workshop {
  private readonly folder = mkdtempSync(join(tmpdir(), 'nestjs-distributed-lock-mutant-'));

  constructor() {
    for (const name of COPIED) cpSync(join(ROOT, name), join(this.folder, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(this.folder, 'node_modules'));
  }

  /** Does the work with the edits made, and undoes them, also when not all of them could be made. */
  async whileBroken<T>(edits: readonly Edit[], work: () => Promise<T>): Promise<T> {
    const before = new Map<string, string>();
    try {
      for (const { file, find, replace } of edits) {
        const path = join(this.folder, file);
        const text = readFileSync(path, 'utf8');
        if (text.split(find).length !== 2) {
          throw new Error(
            `${file} does not contain this exactly once, so the mutant has to be written anew:\n${find}`,
          );
        }
        if (!before.has(path)) before.set(path, text);
        writeFileSync(
          path,
          text.replace(find, () => replace),
        );
      }
      await this.generateScripts(edits);
      return await work();
    } finally {
      for (const [path, text] of before) writeFileSync(path, text);
      await this.generateScripts(edits);
    }
  }

  /** @param limit - milliseconds */
  async run(test: NamedTest, limit: number): Promise<Verdict> {
    const report = join(this.folder, 'report.json');
    rmSync(report, { force: true });
    const { output, late } = await this.jest(
      [test.file, '--testNamePattern', escape(test.title), '--json', '--outputFile', report],
      limit,
    );
    if (late) return { passed: 'too late' };
    let results: JestResults;
    try {
      results = JSON.parse(readFileSync(report, 'utf8')) as JestResults;
    } catch {
      return { passed: 'did not run', output };
    }
    const ran = results.testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ title, status }) => title.startsWith(test.title) && ['passed', 'failed'].includes(status));
    if (ran.length === 0) return { passed: 'did not run', output };
    const messages = ran.flatMap(({ failureMessages }) => failureMessages.map(said)).join('\n');
    return ran.every(({ status }) => status === 'passed') ? { passed: true } : { passed: false, messages };
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Lua travels inside of a TypeScript file. */
  private async generateScripts(edits: readonly Edit[]): Promise<void> {
    const lua = edits.find(({ file }) => file.endsWith('.lua'));
    if (lua === undefined) return;
    const scripts = dirname(lua.file).replace(/\/includes$/, '');
    await promisify(execFile)(process.execPath, [join(this.folder, scripts, 'generate-scripts.mjs')]);
  }

  private jest(args: readonly string[], limit: number): Promise<{ output: string; late: boolean }> {
    return new Promise((done) => {
      const child = spawn(
        process.execPath,
        ['node_modules/jest/bin/jest.js', '--ci', '--runInBand', ...args],
        {
          cwd: this.folder,
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      let output = '';
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
      }, limit);
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (data: Buffer) => (output = (output + data.toString()).slice(-4_000)));
      }
      child.once('close', () => {
        clearTimeout(timer);
        done({ output, late });
      });
    });
  }
}

/** What an error says, without where: the names of files and functions are no reason. */
function said(failureMessage: string): string {
  return stripVTControlCharacters(failureMessage).replace(/^ +at .*\n?/gm, '');
}

function escape(title: string): string {
  return title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
