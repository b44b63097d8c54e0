import type { StatementResult } from './dialect.js';

/** The fencing token that the statements of a lock answered; undefined when the lock table refused. */
export function grantedToken(results: readonly StatementResult[]): number | undefined {
  const token = fieldOf(results, 'token');
  return token === undefined ? undefined : Number(token);
}

/** Whether the row of a mapped entity was there. */
export function foundRow(results: readonly StatementResult[]): boolean {
  return fieldOf(results, 'found') !== undefined;
}

/** What the server calls the session of the transaction that was begun. */
export function sessionOf(results: readonly StatementResult[]): string {
  const session = fieldOf(results, 'session');
  return typeof session === 'string' ? session : String(Number(session));
}

/** Milliseconds between the arrival of the statements and their end, by the database's clock; 0 when it does not say. */
export function serverTime(results: readonly StatementResult[]): number {
  return Math.max(0, Number(fieldOf(results, 'elapsed') ?? 0));
}

/** The isolation level of the transaction that was joined. */
export function isolationLevel(results: readonly StatementResult[]): string | undefined {
  const level = fieldOf(results, 'isolation');
  return typeof level === 'string' ? level : undefined;
}

/** How many of the fences were written. */
export function fencedCount(results: readonly StatementResult[]): number {
  return results.filter(({ rows }) => rows[0] !== undefined && 'fenced' in rows[0]).length;
}

function fieldOf(results: readonly StatementResult[], name: string): unknown {
  for (const { rows } of results) {
    const [row] = rows;
    // MariaDB answers every field of every lock, empty where there is nothing to say.
    if (row !== undefined && name in row) return row[name] ?? undefined;
  }
  return undefined;
}
