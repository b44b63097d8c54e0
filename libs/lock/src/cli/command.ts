import { Logger } from '@nestjs/common';
import { LockConfigurationError, LockUnavailableError } from '../locking/lock-error.js';
import type { LockInspection, LockStrategy } from '../locking/lock-strategy.js';
import { type Command, readCommandLine, UsageError } from './command-line.js';
import { ExitCode } from './exit-code.js';
import { HELP } from './help.js';
import { textOf } from './inspection-text.js';
import { addressesOf, strategyAt } from './redis-place.js';

/** What a command has around it. */
export interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  readonly version: string;
  /** What was asked for. */
  print(text: string): void;
  /** What is said about it to people: errors, warnings. */
  say(text: string): void;
  /** Puts a question that is answered by yes or no; absent where nobody can be asked. */
  readonly ask?: (question: string) => Promise<boolean>;
}

/**
 * Runs one command, and leaves nothing open behind it.
 *
 * @returns the exit code; it never rejects for what a user or a server may do.
 */
export async function runCommand(args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  try {
    const command = readCommandLine(args, surroundings.environment);
    if (command === 'help') surroundings.print(HELP);
    else if (command === 'version') surroundings.print(`${surroundings.version}\n`);
    else return await withStrategy(command, surroundings);
    return ExitCode.DONE;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    surroundings.say(`${error.message}\nnestjs-distributed-lock --help says more.\n`);
    return ExitCode.USAGE;
  }
}

async function withStrategy(command: Command, surroundings: Surroundings): Promise<ExitCode> {
  // The strategy's own lines would stand among what was asked for.
  Logger.overrideLogger(false);
  const strategy = strategyFor(command, surroundings);
  try {
    const work = new LockCommand(command, surroundings, strategy);
    return await (command.action === 'inspect' ? work.inspect() : work.release());
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    surroundings.say(`${error.message}\n`);
    return ExitCode.UNREACHABLE;
  } finally {
    await strategy.close?.();
  }
}

function strategyFor({ place }: Command, { environment }: Surroundings): LockStrategy {
  try {
    return strategyAt(place, environment.REDIS_SENTINEL_PASSWORD);
  } catch (error) {
    if (error instanceof LockConfigurationError) throw new UsageError(error.message);
    throw error;
  }
}

/** Redis gave no useful answer; the message is for people. */
class UnreachableError extends Error {}

class LockCommand {
  constructor(
    private readonly command: Command,
    private readonly surroundings: Surroundings,
    private readonly strategy: LockStrategy,
  ) {}

  async inspect(): Promise<ExitCode> {
    const seen = await this.look();
    this.show(seen);
    return seen.held ? ExitCode.DONE : ExitCode.NOT_HELD;
  }

  async release(): Promise<ExitCode> {
    const { surroundings, command } = this;
    const seen = await this.look();
    if (!seen.held) {
      this.show(seen, { released: false });
      return ExitCode.NOT_HELD;
    }
    if (!command.yes) {
      // Where JSON is wanted, stdout is a program's.
      surroundings.say(textOf(seen));
      if (surroundings.ask === undefined) {
        surroundings.say('Nobody is there to be asked: nothing was released. Add --yes if you are sure.\n');
        return ExitCode.LEFT_ALONE;
      }
      const sure = await surroundings.ask(
        `Take ${command.key} away from its holder, who may still be at work? [y/N] `,
      );
      if (!sure) return this.leaveAlone(seen, 'Nothing was released.');
      // A question may stand for minutes, and somebody else may have come in good order meanwhile.
      const now = await this.look();
      if (!now.held) return this.leaveAlone(now, 'It was released meanwhile.');
      if (!isSameGrant(seen, now)) return this.leaveAlone(now, 'It has another holder by now. Look again.');
    }
    return this.take(seen);
  }

  private async take(seen: LockInspection): Promise<ExitCode> {
    const released = await this.orUnknown(this.strategy.forceRelease?.(seen.name));
    if (released !== true) {
      const { name, waiters } = seen;
      return this.leaveAlone({ name, held: false, waiters }, 'It was released meanwhile.');
    }
    if (this.command.json) {
      this.show(seen, { released });
      return ExitCode.DONE;
    }
    this.surroundings.print(`Released ${seen.name}, which was held by ${seen.holder}.\n`);
    // Done is done, whether or not Redis says who has it now.
    await this.look().then(
      (now) => this.surroundings.print(textOf(now)),
      (error: Error) => this.surroundings.say(`${error.message}\n`),
    );
    return ExitCode.DONE;
  }

  private leaveAlone(seen: LockInspection, why: string): ExitCode {
    this.surroundings.say(`${why}\n`);
    if (this.command.json) this.show(seen, { released: false });
    return seen.held ? ExitCode.LEFT_ALONE : ExitCode.NOT_HELD;
  }

  private async look(): Promise<LockInspection> {
    const { strategy, command } = this;
    const looked = await this.inTime(
      (async () => {
        await strategy.connect?.();
        return strategy.inspect?.(command.key);
      })(),
    );
    if (looked === undefined) throw new Error('The strategy can not look at locks.');
    return looked;
  }

  private show(inspection: LockInspection, more: { readonly released?: boolean } = {}): void {
    const { command, surroundings } = this;
    if (command.json) return surroundings.print(`${JSON.stringify({ ...inspection, ...more })}\n`);
    surroundings.print(textOf(inspection));
    if (inspection.held || inspection.waiters.length > 0) return;
    surroundings.print(
      `Not what you expected? Then it is another key, another --prefix (${command.place.prefix ?? 'lock:'}), or\n` +
        `another Redis or database than ${addressesOf(command.place)}.\n`,
    );
  }

  /** A release that is sent and not answered may have been done. */
  private async orUnknown<T>(answer: Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await this.inTime(answer ?? Promise.resolve(undefined));
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      throw new UnreachableError(`${error.message}\nIt may have been released, or not: inspect it.`);
    }
  }

  /** @throws {UnreachableError} Redis could not be asked, or did not answer in time. */
  private async inTime<T>(answer: Promise<T>): Promise<T> {
    const { timeout, place } = this.command;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new UnreachableError(`No answer from ${addressesOf(place)} within ${timeout} ms.`)),
        timeout,
      );
    });
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      throw this.explain(error);
    } finally {
      clearTimeout(timer);
    }
  }

  private explain(error: unknown): unknown {
    const at = addressesOf(this.command.place);
    if (error instanceof LockUnavailableError) {
      const cause = error.cause instanceof Error ? error.cause.message : error.message;
      return new UnreachableError(`Redis at ${at} can't be used: ${cause}`);
    }
    if (error instanceof LockConfigurationError) {
      const hint = error.message.includes('is a node of a Cluster') ? '\nHere that is --cluster.' : '';
      return new UnreachableError(`Redis at ${at} can't be used: ${error.message}${hint}`);
    }
    return error;
  }
}

/** Renewals change neither; where there is no token, nobody is robbed of a grant. */
function isSameGrant(one: LockInspection, other: LockInspection): boolean {
  return one.token === other.token && one.holder === other.holder;
}
