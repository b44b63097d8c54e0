import type { LockInspection } from '../../locking/lock-strategy.js';
import type { StatementResult } from './dialect.js';

/** Puts together what the database and this process know about a lock. */
export function inspectionOf(
  name: string,
  [sessions, rows]: readonly StatementResult[],
  waitingHere: number,
): LockInspection {
  const all = sessions?.rows ?? [];
  const holder = all.find(isGranted);
  const inDatabase = all.filter((session) => !isGranted(session)).map(describe);
  // One of those who wait in this process waits in the database at the same time.
  const here = Math.max(0, waitingHere - (inDatabase.length > 0 ? 1 : 0));
  const waiters = [
    ...inDatabase,
    ...Array.from({ length: here }, (_, place) => `process ${process.pid}, waiter ${place + 1}`),
  ];
  const row = rows?.rows[0];
  const isHeldOver = holder === undefined && Number(row?.held_for ?? 0) > 0;
  if (holder === undefined && !isHeldOver) return { name, held: false, waiters };
  if (isHeldOver) {
    return {
      name,
      held: true,
      holder: 'holdAtLeast of an earlier holder',
      since: new Date(Number(row?.taken_at)),
      token: Number(row?.token),
      waiters,
    };
  }
  return {
    name,
    held: true,
    holder: describe(holder ?? {}),
    since: new Date(Number(holder?.since)),
    waiters,
  };
}

/** MariaDB has numbers for what is true. */
function isGranted({ granted }: StatementResult['rows'][number]): boolean {
  return granted === true || Number(granted) === 1;
}

function describe({ pid, application, address }: StatementResult['rows'][number]): string {
  const named = typeof application === 'string' && application !== '' ? ` of ${application}` : '';
  const at = typeof address === 'string' ? ` at ${address}` : '';
  return `database session ${String(pid)}${named}${at}`;
}
