import type { StrategyLease } from 'nestjs-distributed-lock';
import type { DataSource } from 'typeorm';
import type { Call } from '../history/history';
import type { Damage } from './fault-subject';

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

/**
 * What was written by two at once has the same place; what an old holder wrote late has too low a token. Whose commit was
 * answered has one line, and who never began one, because it was killed for example, or had heard that it had lost the
 * lock, has none.
 */
export async function damageOf(dataSource: DataSource, calls: readonly Call[]): Promise<readonly Damage[]> {
  const lines = await dataSource.query<Line[]>('SELECT * FROM fault_ledger ORDER BY lock_name, place, token');
  return [...outOfPlace(lines, calls), ...wronglyKept(lines, calls)];
}

function outOfPlace(lines: readonly Line[], calls: readonly Call[]): Damage[] {
  return lines.flatMap((line, index) => {
    const before = lines[index - 1]?.lock_name === line.lock_name ? lines[index - 1] : undefined;
    const { place, token } = before ?? BEGINNING;
    if (Number(line.place) === Number(place) + 1 && Number(line.token) > Number(token)) return [];
    const both = [...(before === undefined ? [] : [before]), line];
    return [
      {
        says: `not written one after the other: ${both.map(told).join(' and ')}`,
        calls: calls.filter(({ id }) => both.some(({ caller }) => caller === id)),
      },
    ];
  });
}

/** What the first line of a lock comes after. */
const BEGINNING = { place: 0, token: 0 };

function wronglyKept(lines: readonly Line[], calls: readonly Call[]): Damage[] {
  const counts = new Map<unknown, number>();
  for (const { caller } of lines) counts.set(caller, (counts.get(caller) ?? 0) + 1);
  return calls.flatMap((call) => {
    const count = counts.get(call.id) ?? 0;
    const least = call.isCommitted ? 1 : 0;
    const { endBegunAt, lostAt = Infinity } = call;
    const most = endBegunAt === undefined || lostAt < endBegunAt ? 0 : 1;
    if (count >= least && count <= most) return [];
    const commit = call.isCommitted ? 'was committed' : most === 0 ? 'began no commit' : 'began one commit';
    return [{ says: `${call.id} ${commit}, and ${count} lines of it are there`, calls: [call] }];
  });
}

function told({ lock_name, place, token, caller }: Line): string {
  return `place ${String(place)} of "${String(lock_name)}" by ${String(caller)} with ${String(token)}`;
}
