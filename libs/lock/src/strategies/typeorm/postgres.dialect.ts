import type {
  DatabaseFailure,
  Dialect,
  DriverConnection,
  Fence,
  FencedBegin,
  LockedRow,
  LockIdentity,
  LockTable,
  LockWish,
  StatementResult,
} from './dialect.js';
import { errorCode, unwrapped } from './driver-error.js';
import { PostgresConnection } from './postgres-connection.js';

/** PostgreSQL 12 and later. Advisory locks keep the order of those who wait, which its row locks don't. */
export class PostgresDialect implements Dialect {
  readonly database = 'PostgreSQL';
  readonly oldestVersion = '12';
  readonly lookalike = 'Databases that only speak its protocol may lack its advisory locks.';
  // A comment is an empty query: it succeeds even in a transaction that failed, and resets the server's idle timer.
  readonly ping = '/* nestjs-distributed-lock: the holder lives */';
  readonly commit = 'COMMIT';
  readonly rollback = 'ROLLBACK';
  readonly uncommitted =
    'a query in it had failed. Let the error through, or put the query into dataSource.transaction(…), which undoes only ' +
    'itself';

  connectionOf(driverConnection: unknown): DriverConnection {
    return new PostgresConnection(driverConnection as ConstructorParameters<typeof PostgresConnection>[0]);
  }

  createTable({ path, sequence }: LockTable): readonly string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${path} (
        "id" varchar(64) NOT NULL PRIMARY KEY,
        "name" varchar(1024) NOT NULL,
        "token" bigint NOT NULL,
        "fenced_by" varchar(16) NOT NULL,
        "taken_at" bigint NOT NULL,
        "held_until" bigint NOT NULL DEFAULT 0,
        "session" bigint NOT NULL DEFAULT 0
      ) WITH (fillfactor = 50)`,
      `CREATE SEQUENCE IF NOT EXISTS ${sequence} AS bigint`,
    ];
  }

  dropTable({ path, sequence }: LockTable): readonly string[] {
    return [`DROP TABLE IF EXISTS ${path}`, `DROP SEQUENCE IF EXISTS ${sequence}`];
  }

  checkTable({ path, sequence }: LockTable): string {
    return (
      `SELECT "id", "name", "token", "fenced_by", "taken_at", "held_until", "session" FROM ${path} WHERE false;` +
      `SELECT last_value FROM ${sequence} WHERE false`
    );
  }

  begin(wish: LockWish): string {
    // READ COMMITTED: under a stricter level the snapshot is older than the wait, and the method would read old data.
    // The limits are lifted with the answer; where there is none, the transaction is rolled back.
    return [
      'BEGIN ISOLATION LEVEL READ COMMITTED',
      `${limitWaiting(wish.waitTime)},set_config('idle_in_transaction_session_timeout', '${milliseconds(wish.ttl)}', true)`,
      ...takeLock(wish, `,${LIFT_LIMITS},${SESSION}`),
    ].join(';');
  }

  join(wish: LockWish): string {
    return [
      `SAVEPOINT ${SAVEPOINT}`,
      `${limitWaiting(wish.waitTime)},current_setting('transaction_isolation') AS isolation`,
      ...takeLock(wish, ''),
      `SELECT ${LIFT_LIMITS}`,
      `RELEASE SAVEPOINT ${SAVEPOINT}`,
    ].join(';');
  }

  undoJoin(): string {
    return `ROLLBACK TO SAVEPOINT ${SAVEPOINT};RELEASE SAVEPOINT ${SAVEPOINT}`;
  }

  reserve({ table, lock, waitTime, ttl }: LockWish, holdAtLeast: number): string {
    return [
      'BEGIN ISOLATION LEVEL READ COMMITTED',
      limitWaiting(waitTime),
      idleTimeout(ttl),
      advisoryLock(lock),
      takeRow(table, lock, `${NOW} + ${milliseconds(holdAtLeast)}`),
      this.commit,
    ].join(';');
  }

  dropReservation({ path }: LockTable, { id }: LockIdentity, token: number): string {
    return `UPDATE ${path} SET "held_until" = 0 WHERE "id" = ${literal(id)} AND "token" = ${token}`;
  }

  beginFenced({ table, fences, waitTime, ttl }: FencedBegin): string {
    return [
      'BEGIN ISOLATION LEVEL READ COMMITTED',
      `SELECT set_config('idle_in_transaction_session_timeout', '${milliseconds(ttl)}', true),${SESSION}`,
      ...writeFences(table, fences, waitTime),
    ].join(';');
  }

  fence(table: LockTable, fences: readonly Fence[], waitTime: number): string {
    return [
      `SAVEPOINT ${SAVEPOINT}`,
      ...writeFences(table, fences, waitTime),
      `RELEASE SAVEPOINT ${SAVEPOINT}`,
    ].join(';');
  }

  explain({ path }: LockTable, id: string): string {
    return `SELECT "held_until" - ${NOW} AS held_for, "fenced_by" AS fenced_by, "token" AS token FROM ${path} WHERE "id" = ${literal(id)}`;
  }

  inspect({ path }: LockTable, { id, advisoryKey }: LockIdentity): string {
    return (
      `SELECT l.granted AS granted, l.pid AS pid, a.application_name AS application, a.client_addr AS address,
        extract(epoch FROM a.xact_start) * 1000 AS since
      FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE ${ofAdvisoryLock(advisoryKey)}
      ORDER BY l.granted DESC, a.query_start;` +
      `SELECT "held_until" - ${NOW} AS held_for, "token" AS token, "taken_at" AS taken_at FROM ${path} WHERE "id" = ${literal(id)}`
    );
  }

  forceRelease({ path }: LockTable, { id, advisoryKey }: LockIdentity): string {
    return (
      `UPDATE ${path} SET "held_until" = 0 WHERE "id" IN
        (SELECT "id" FROM ${path} WHERE "id" = ${literal(id)} AND "held_until" > ${NOW} FOR UPDATE SKIP LOCKED)
      RETURNING "id" AS ended;` +
      `SELECT pg_terminate_backend(l.pid) AS ended FROM pg_locks l WHERE ${ofAdvisoryLock(advisoryKey)} AND l.granted`
    );
  }

  endWait({ advisoryKey }: LockIdentity, session: number): string {
    return `SELECT pg_terminate_backend(l.pid) AS ended FROM pg_locks l WHERE ${ofAdvisoryLock(advisoryKey)} AND l.pid = ${session}`;
  }

  purge({ path }: LockTable, unusedFor: number): string {
    return `DELETE FROM ${path} WHERE "id" IN (SELECT "id" FROM ${path}
        WHERE "taken_at" < ${NOW} - ${milliseconds(unusedFor)} AND "held_until" < ${NOW}
        LIMIT ${PURGE_BATCH} FOR UPDATE SKIP LOCKED)
      RETURNING "id" AS purged`;
  }

  // Nobody else's transaction: the process may be another one by now, but none has begun at the same microsecond. Where
  // `track_activities` is off the state is neither, and proves nothing.
  lookAtSession(session: string): string {
    const [pid, begun] = session.split(' ');
    return `SELECT state = 'active' AS at_work FROM pg_stat_activity WHERE pid = ${Number(pid)}
      AND (state = 'disabled' OR ${epoch('xact_start')} = ${literal(begun ?? '')})`;
  }

  extend(duration: number): string {
    return idleTimeout(duration);
  }

  // PostgreSQL answers ROLLBACK, and no error, to the COMMIT of a transaction in which a statement has failed.
  wasCommitted(results: readonly StatementResult[]): boolean {
    return results.every(({ command }) => command !== 'ROLLBACK');
  }

  // PostgreSQL frees the locks of a transaction when a statement fails in it, not when it is rolled back. In a savepoint,
  // only those that were taken since.
  endsTransaction(error: unknown, depth: number): boolean {
    return depth === 1 && this.isRefusal(error);
  }

  isRefusal(error: unknown): boolean {
    return unwrapped(error).severity === 'ERROR';
  }

  failureOf(error: unknown): DatabaseFailure {
    return FAILURES[errorCode(error)] ?? 'unavailable';
  }
}

/** How many rows one purge deletes at most: few, so that nobody waits for it. */
export const PURGE_BATCH = 100;

const SAVEPOINT = 'distributed_lock';

/** The database's clock in milliseconds. Not `now()`, which stands still while the transaction waits for the lock. */
const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const FAILURES: Readonly<Record<string, DatabaseFailure>> = {
  '55P03': 'busy', // lock_not_available: `lock_timeout` is over
  '40P01': 'deadlock', // deadlock_detected
  '40001': 'snapshot', // serialization_failure: only under stricter levels than READ COMMITTED
  '42601': 'unsupported', // syntax_error: the server is too old, or another one that speaks the same protocol
  '42883': 'unsupported', // undefined_function
  '42P01': 'schema', // undefined_table, a sequence too
  '42703': 'schema', // undefined_column
  '42501': 'schema', // insufficient_privilege
  '3F000': 'schema', // invalid_schema_name
  '22P02': 'value', // invalid_text_representation
  '22003': 'value', // numeric_value_out_of_range
  '22021': 'value', // character_not_in_repertoire
};

/**
 * The user's own time-outs must come back after the wait, else the method's own statements fail by ours. `SET LOCAL …
 * TO DEFAULT` would forget what a session set, so the values wait in settings of our own.
 */
function limitWaiting(waitTime: number): string {
  const limit = waitTime === Infinity ? 0 : milliseconds(waitTime);
  return (
    "SELECT set_config('distributed_lock.lock_timeout', current_setting('lock_timeout'), true)," +
    "set_config('distributed_lock.statement_timeout', current_setting('statement_timeout'), true)," +
    `set_config('lock_timeout', '${limit}', true),set_config('statement_timeout', '0', true)`
  );
}

const ELAPSED = 'extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000';

/** When the transaction has begun, as text: two sessions may write down a time in different ways, but not this. */
function epoch(time: string): string {
  return `extract(epoch FROM ${time})::text`;
}

const SESSION = `concat_ws(' ', pg_backend_pid(), ${epoch('now()')}) AS session`;

const LIFT_LIMITS =
  "set_config('lock_timeout', current_setting('distributed_lock.lock_timeout'), true)," +
  "set_config('statement_timeout', current_setting('distributed_lock.statement_timeout'), true)," +
  `${ELAPSED} AS elapsed`;

function idleTimeout(ttl: number): string {
  return `SET LOCAL idle_in_transaction_session_timeout = ${milliseconds(ttl)}`;
}

/** @param more - further columns of the answer: they are read when everything is locked */
function takeLock({ table, lock, row, reservation, waitTime }: LockWish, more: string): readonly string[] {
  if (row !== undefined) {
    // In a statement of its own, whose snapshot is younger than the wait: it finds a row that was deleted and made anew.
    return [`${advisoryLock(lock)}${limitFurther(waitTime)}`, takeEntityRow(table, row, more)];
  }
  const take =
    reservation === undefined ? takeRow(table, lock, '0') : takeReservedRow(table, lock, reservation);
  return [advisoryLock(lock), `${take}${more}`];
}

function advisoryLock({ advisoryKey }: LockIdentity): string {
  return `SELECT pg_advisory_xact_lock(${advisoryKey})`;
}

/** `lock_timeout` counts for each lock anew: what the first one took is taken off for the second. */
function limitFurther(waitTime: number): string {
  if (waitTime === Infinity) return '';
  return `,set_config('lock_timeout', greatest(1, ${milliseconds(waitTime)} - ${ELAPSED})::int::text, true)`;
}

function takeEntityRow(
  table: LockTable,
  { tablePath, column, value, mode }: LockedRow,
  more: string,
): string {
  const strength = mode === 'for_no_key_update' ? 'FOR NO KEY UPDATE' : 'FOR UPDATE';
  return (
    `WITH locked AS MATERIALIZED (SELECT 1 FROM ${tablePath} WHERE ${column} = ${literal(value)} ${strength}) ` +
    `SELECT true AS found, ${nextToken(table)} AS token${more} FROM locked`
  );
}

function takeReservedRow(table: LockTable, { id }: LockIdentity, reservation: number): string {
  return `UPDATE ${table.path} SET "token" = ${nextToken(table)}, "session" = pg_backend_pid()
    WHERE "id" = ${literal(id)} AND "token" = ${reservation} RETURNING "token" AS token`;
}

/** Makes the row if need be, locks it until the end of the transaction, and answers its new token; no row when refused. */
function takeRow(table: LockTable, { id, name }: LockIdentity, heldUntil: string): string {
  return `INSERT INTO ${table.path} AS l ("id", "name", "token", "fenced_by", "taken_at", "held_until", "session")
    VALUES (${literal(id)}, ${literal(name)}, ${nextToken(table)}, 'sequence', ${NOW}, ${heldUntil}, pg_backend_pid())
    ON CONFLICT ("id") DO UPDATE
    SET "token" = excluded."token", "taken_at" = excluded."taken_at", "held_until" = excluded."held_until",
      "session" = excluded."session"
    WHERE l."held_until" <= excluded."taken_at" AND l."fenced_by" = 'sequence'
    RETURNING "token" AS token`;
}

/**
 * The sequence's next number or the clock in microseconds, whichever is higher, and the sequence goes on from there. The
 * sequence alone would give tokens twice: it is written down with a commit, so a crash forgets what only transactions
 * have seen that died in it. The clock alone would, when it is set back. (That two locks take numbers at once and the
 * later one's `setval` is the lower is no matter: each is above all that its own lock had.)
 */
function nextToken({ sequence }: LockTable): string {
  const name = literal(sequence);
  const clock = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint';
  // Read twice, the clock is only later; a subquery that reads it once costs the planner more than all of this.
  return `CASE WHEN nextval(${name}) < ${clock} THEN setval(${name}, ${clock}) ELSE currval(${name}) END`;
}

function writeFences(table: LockTable, fences: readonly Fence[], waitTime: number): readonly string[] {
  if (fences.length === 0) return [];
  return [
    limitWaiting(waitTime),
    ...fences.map((fence) => writeFence(table, fence)),
    `SELECT ${LIFT_LIMITS}`,
  ];
}

/** Keeps the row locked until the end of the transaction; answers no row to the token of an earlier holder. */
function writeFence({ path }: LockTable, { id, name, token }: Fence): string {
  return `INSERT INTO ${path} AS l ("id", "name", "token", "fenced_by", "taken_at")
    VALUES (${literal(id)}, ${literal(name)}, ${token}, 'lease', ${NOW})
    ON CONFLICT ("id") DO UPDATE SET "token" = excluded."token", "taken_at" = excluded."taken_at"
    WHERE l."token" <= excluded."token" AND l."fenced_by" = 'lease'
    RETURNING "id" AS fenced`;
}

/** PostgreSQL shows the 64 bits of an advisory lock's key as two unsigned halves. */
function ofAdvisoryLock(key: bigint): string {
  const bits = BigInt.asUintN(64, key);
  return (
    `l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ` +
    `AND l.classid = ${bits >> 32n}::oid AND l.objid = ${bits & 0xffffffffn}::oid AND l.objsubid = 1`
  );
}

/** Zero would mean "for ever", and more than 31 bits is an error. */
function milliseconds(duration: number): number {
  return Math.min(Math.max(1, Math.ceil(duration)), 2 ** 31 - 1);
}

/** As `quote_literal` does it: right whatever `standard_conforming_strings` says. */
function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}
