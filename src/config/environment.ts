import { plainToInstance, Type } from 'class-transformer';
import { IsIn, IsInt, IsNotEmpty, IsOptional, IsUrl, Max, Min, validateSync } from 'class-validator';

/** What this process does: it answers buyers, or it settles on schedule. */
export const ROLES = ['web', 'batch'] as const;
export type Role = (typeof ROLES)[number];

/** How the shop keeps two servers from selling the same item. `none` is there to see what happens without. */
export const LOCK_STRATEGIES = ['none', 'memory', 'redis', 'typeorm'] as const;
export type LockStrategyName = (typeof LOCK_STRATEGIES)[number];

/** The shop's environment variables, with the values that they take unless they are set. */
export class Environment {
  @IsIn(ROLES, { message: `ROLE must be one of: ${ROLES.join(', ')}` })
  readonly ROLE: Role = 'web';

  @IsIn(LOCK_STRATEGIES, { message: `LOCK_STRATEGY must be one of: ${LOCK_STRATEGIES.join(', ')}` })
  readonly LOCK_STRATEGY: LockStrategyName = 'memory';

  /** Where Redis is, for LOCK_STRATEGY=redis. */
  @IsUrl(
    { protocols: ['redis', 'rediss'], require_protocol: true, require_tld: false },
    { message: 'REDIS_URL must be an address such as redis://127.0.0.1:6379, or rediss:// with TLS' },
  )
  readonly REDIS_URL: string = 'redis://127.0.0.1:6379';

  /** Where PostgreSQL is. Without it the process starts one of its own, whose data is gone when it stops. */
  @IsOptional()
  @IsUrl(
    { protocols: ['postgres', 'postgresql'], require_protocol: true, require_tld: false },
    { message: 'POSTGRES_URL must be an address such as postgres://user:password@127.0.0.1:5432/shop' },
  )
  readonly POSTGRES_URL?: string;

  @IsNotEmpty({ message: 'HOST must be the name or address to listen on, such as 127.0.0.1 or 0.0.0.0' })
  readonly HOST: string = '127.0.0.1';

  /** The port to listen on; 0 takes a free one. */
  @Type(() => Number)
  @IsInt({ message: 'PORT must be a whole number from 0 to 65535' })
  @Min(0, { message: 'PORT must be a whole number from 0 to 65535' })
  @Max(65_535, { message: 'PORT must be a whole number from 0 to 65535' })
  readonly PORT: number = 3000;
}

/**
 * Reads the environment. A variable that is set to nothing counts as not set.
 *
 * @throws Error that lists every wrong variable with the values that it may have.
 */
export function validateEnvironment(variables: Record<string, unknown>): Environment {
  const set = Object.entries(variables).filter(([, value]) => value !== '');
  const environment = plainToInstance(Environment, Object.fromEntries(set));
  const mistakes = validateSync(environment).map(
    ({ value, constraints = {} }) => `${Object.values(constraints)[0]}, but it is "${String(value)}"`,
  );
  if (mistakes.length === 0) return environment;
  throw new Error(`The environment is wrong.\n${mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`);
}
