import { parseArgs, type ParseArgsConfig } from 'node:util';
import { checkName } from '../locking/lock-name.js';

/** What to do, as the command line says it. */
export interface Command {
  readonly action: Action;
  readonly key: string;
  readonly place: PlaceOptions;
  readonly json: boolean;
  /** Whether to free the lock without asking. */
  readonly yes: boolean;
  /** Milliseconds to wait for Redis. */
  readonly timeout: number;
}

/** Where the locks are. */
export interface PlaceOptions {
  readonly urls: readonly string[];
  readonly prefix: string | undefined;
  readonly cluster: boolean;
  /** The name of the master that the Sentinels at `urls` watch. */
  readonly sentinel: string | undefined;
}

export type Action = 'inspect' | 'release';

/** The command line can't be understood. The message never shows what may hold a password. */
export class UsageError extends Error {}

const OPTIONS = {
  redis: { type: 'string', multiple: true },
  cluster: { type: 'boolean', default: false },
  sentinel: { type: 'string' },
  prefix: { type: 'string' },
  timeout: { type: 'string', default: '5000' },
  json: { type: 'boolean', default: false },
  yes: { type: 'boolean', short: 'y', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const satisfies ParseArgsConfig['options'];

const ADDRESS = /^rediss?:\/\//;
const LONGEST_TIMEOUT = 600_000;

/**
 * Reads the command line.
 *
 * @throws {UsageError} it can't be understood.
 */
export function readCommandLine(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Command | 'help' | 'version' {
  const { values, positionals } = parse(args);
  if (values.help) return 'help';
  if (values.version) return 'version';
  const { cluster, sentinel, prefix, json, yes } = values;
  if (cluster && sentinel !== undefined)
    throw new UsageError('--cluster and --sentinel exclude each other. Leave one out.');
  const [action, key] = actionAndKey(positionals);
  const urls = urlsOf(values.redis ?? [environment.REDIS_URL ?? '']);
  if (urls.length > 1 && !cluster && sentinel === undefined) {
    throw new UsageError(
      'Several addresses need --cluster or --sentinel NAME. Give one, or say which it is.',
    );
  }
  return {
    action,
    key,
    place: { urls, prefix, cluster, sentinel },
    json,
    yes,
    timeout: timeoutOf(values.timeout),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // The first sentence names the option; what follows is advice about positional arguments.
    const [problem = ''] = String((error as Error).message).split('. ', 1);
    throw new UsageError(`${problem.replace(/:\/\/.*/s, '://…')}.`);
  }
}

function actionAndKey(positionals: readonly string[]): readonly [Action, string] {
  const [action, key, ...more] = positionals;
  if (action !== 'inspect' && action !== 'release') {
    throw new UsageError(
      `The first word has to be inspect or release${action === undefined ? '' : ', and is neither'}.`,
    );
  }
  if (key === undefined) throw new UsageError(`Name the lock: ${action} stock:42`);
  if (positionals.some((word) => ADDRESS.test(word))) {
    throw new UsageError('The address of Redis belongs behind --redis.');
  }
  if (more.length > 0) {
    throw new UsageError('Name one lock. A key with spaces or < > needs quotes.');
  }
  checkKey(key);
  return [action, key];
}

function checkKey(key: string): void {
  try {
    checkName(key);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function urlsOf(given: readonly string[]): readonly string[] {
  const urls = given.flatMap((list) => list.split(',')).filter((url) => url !== '');
  if (urls.length === 0) {
    throw new UsageError('Say where Redis is: --redis redis://localhost:6379, or the variable REDIS_URL.');
  }
  if (!urls.every((url) => ADDRESS.test(url) && URL.canParse(url))) {
    throw new UsageError(
      'An address of Redis must be like redis://localhost:6379, or rediss:// for TLS, and one is not.',
    );
  }
  return urls;
}

function timeoutOf(text: string): number {
  const timeout = Number(text);
  if (Number.isInteger(timeout) && timeout > 0 && timeout <= LONGEST_TIMEOUT) return timeout;
  throw new UsageError(
    `--timeout must be whole milliseconds from 1 to ${LONGEST_TIMEOUT}, for example 5000.`,
  );
}
