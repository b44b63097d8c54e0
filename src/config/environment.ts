import { applyDecorators } from '@nestjs/common';
import { plainToInstance, Type } from 'class-transformer';
import { IsIn, IsInt, IsNotEmpty, IsOptional, IsUrl, Matches, Max, Min, validateSync } from 'class-validator';

/** What this process does: it answers buyers, or it settles on schedule. */
export const ROLES = ['web', 'batch'] as const;
export type Role = (typeof ROLES)[number];

/** How the shop keeps two servers from selling the same item. `none` is there to see what happens without. */
export const LOCK_STRATEGIES = ['none', 'memory', 'redis', 'quorum', 'typeorm'] as const;
export type LockStrategyName = (typeof LOCK_STRATEGIES)[number];

const THREE_MASTERS = 'redis://127.0.0.1:6379,redis://127.0.0.1:6380,redis://127.0.0.1:6381';

/** The shop's environment variables, with the values that they take unless they are set. */
export class Environment {
  @OneOf('ROLE', ROLES)
  readonly ROLE: Role = 'web';

  @OneOf('LOCK_STRATEGY', LOCK_STRATEGIES)
  readonly LOCK_STRATEGY: LockStrategyName = 'memory';

  /** How long a buyer waits for the turn, in milliseconds: when a sale opens, rather long than to hear "busy". */
  @WholeNumber('LOCK_WAIT_TIME', 0, 600_000)
  readonly LOCK_WAIT_TIME: number = 30_000;

  /** Where Redis is, for LOCK_STRATEGY=redis. */
  @Address('REDIS_URL', ['redis', 'rediss'], 'redis://127.0.0.1:6379, or rediss:// with TLS')
  readonly REDIS_URL: string = 'redis://127.0.0.1:6379';

  /** Where the independent masters are, separated by commas, for LOCK_STRATEGY=quorum. */
  @Matches(/^rediss?:\/\/[^\s,]+(,rediss?:\/\/[^\s,]+){2,}$/, {
    message: `REDIS_URLS must be the addresses of three Redis masters or more, such as ${THREE_MASTERS}`,
  })
  readonly REDIS_URLS: string = THREE_MASTERS;

  /** Where PostgreSQL is. Without it the process starts one of its own, whose data is gone when it stops. */
  @IsOptional()
  @Address('POSTGRES_URL', ['postgres', 'postgresql'], 'postgres://user:password@127.0.0.1:5432/shop')
  readonly POSTGRES_URL?: string;

  @IsNotEmpty({ message: 'HOST must be the name or address to listen on, such as 127.0.0.1 or 0.0.0.0' })
  readonly HOST: string = '127.0.0.1';

  /** The port to listen on; 0 takes a free one. */
  @WholeNumber('PORT', 0, 65_535)
  readonly PORT: number = 3000;
}

/** Variables have values that they can't have. */
export class EnvironmentError extends Error {
  constructor(mistakes: readonly (string | undefined)[]) {
    super(`The environment is wrong.\n${mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`);
    this.name = 'EnvironmentError';
  }
}

/**
 * Reads the environment. A variable that is set to nothing counts as not set.
 *
 * @throws {EnvironmentError} that lists every wrong variable with the values that it may have.
 */
export function validateEnvironment(variables: Record<string, unknown>): Environment {
  const set = Object.entries(variables).filter(([, value]) => value !== '');
  const environment = plainToInstance(Environment, Object.fromEntries(set));
  const mistakes = validateSync(environment).map(({ property, constraints = {} }) => {
    const [rule] = Object.values(constraints);
    // An address may hold a password, which has no place in a log.
    return /_URLS?$/.test(property) ? rule : `${rule}, but it is "${String(variables[property])}"`;
  });
  if (mistakes.length > 0) throw new EnvironmentError(mistakes);
  return environment;
}

function OneOf(name: string, values: readonly string[]): PropertyDecorator {
  return IsIn(values, { message: `${name} must be one of: ${values.join(', ')}` });
}

function WholeNumber(name: string, least: number, most: number): PropertyDecorator {
  const options = { message: `${name} must be a whole number from ${least} to ${most}` };
  return applyDecorators(
    Type(() => Number),
    IsInt(options),
    Min(least, options),
    Max(most, options),
  );
}

function Address(name: string, protocols: string[], example: string): PropertyDecorator {
  const options = { message: `${name} must be an address such as ${example}` };
  return IsUrl({ protocols, require_protocol: true, require_tld: false }, options);
}
