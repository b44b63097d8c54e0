import type { StrategyLease } from 'nestjs-distributed-lock';
import type { DataSource } from 'typeorm';

/** Lines that only the lock protects: each holder reads the last place and writes the next. */
export const CREATE_LEDGER =
  'CREATE TABLE fault_ledger (lock_name varchar(100), place int, token bigint, caller varchar(100))';

/** Adds a line in the holder's transaction. What two do at once gets the same place. */
export async function writeLine(
  dataSource: DataSource,
  { transaction, name, token }: StrategyLease,
  call: string,
): Promise<void> {
  const isPostgres = dataSource.options.type === 'postgres';
  const placeholders = (count: number): string =>
    Array.from({ length: count }, (_, index) => (isPostgres ? `$${index + 1}` : '?')).join(', ');
  await transaction?.run(async () => {
    const [last] = await dataSource.query<{ place: unknown }[]>(
      `SELECT coalesce(max(place), 0) AS place FROM fault_ledger WHERE lock_name = ${placeholders(1)}`,
      [name],
    );
    await dataSource.query(`INSERT INTO fault_ledger VALUES (${placeholders(4)})`, [
      name,
      Number(last?.place) + 1,
      token,
      call,
    ]);
  });
}

interface Line {
  readonly lock_name: unknown;
  readonly place: unknown;
  readonly token: unknown;
  readonly caller: unknown;
}

/** What was written by two at once has the same place; what an old holder wrote late has too low a token. */
export async function damageOf(dataSource: DataSource): Promise<readonly string[]> {
  const lines = await dataSource.query<Line[]>('SELECT * FROM fault_ledger ORDER BY lock_name, place, token');
  return lines.flatMap((line, index) => {
    const before = lines[index - 1];
    if (before === undefined || before.lock_name !== line.lock_name) return [];
    const isNext =
      Number(line.place) === Number(before.place) + 1 && Number(line.token) > Number(before.token);
    return isNext ? [] : [`these two lines were written at once: ${told(before)} and ${told(line)}`];
  });
}

function told({ lock_name, place, token, caller }: Line): string {
  return `place ${String(place)} of "${String(lock_name)}" by ${String(caller)} with ${String(token)}`;
}
