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
import { errorNumber, unwrapped } from './driver-error.js';
import { MariadbConnection, type Mysql2Connection } from './mariadb-connection.js';

/**
 * MariaDB 10.6 and later. Its row locks keep the order of those who wait, so the lock's row in the lock table is the
 * lock; the row of an entity is locked behind it. Everything is one compound statement: one round trip.
 *
 * MySQL is refused, and not for its idle transactions (`wait_timeout` of the session would end them). It has no sequence:
 * whatever else it counts in a transaction comes again after a rollback. And it has no compound statement outside of
 * routines: every decision below would be one of the client's, a round trip each, in a second copy of this file.
 */
export class MariadbDialect implements Dialect {
  readonly database = 'MariaDB';
  readonly oldestVersion = '10.6';
  readonly lookalike =
    'MySQL is none: without sequences it would give a fencing token again after a rollback, and it has no compound ' +
    'statements outside of routines.';
  readonly ping = 'DO 0';
  readonly rollback = compound(['ROLLBACK', ...FORGET_IDLE_TIMEOUT]);
  // A statement that ends the transaction by itself leaves the connection without one: DDL, TRUNCATE, LOCK TABLES.
  readonly commit = compound([
    'DECLARE was_open INT DEFAULT @@in_transaction',
    'COMMIT',
    ...FORGET_IDLE_TIMEOUT,
    'SELECT was_open AS was_open',
  ]);
  readonly uncommitted =
    'a statement in it had ended the transaction (DDL such as CREATE, ALTER and TRUNCATE does), and with it the lock. ' +
    'What came before that statement is committed, what came after it too. Do such things outside of locked methods';

  connectionOf(driverConnection: unknown): DriverConnection {
    return new MariadbConnection(driverConnection as Mysql2Connection);
  }

  createTable({ path, sequence }: LockTable): readonly string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${path} (
        id varchar(64) NOT NULL PRIMARY KEY,
        name varchar(1024) NOT NULL,
        token bigint NOT NULL,
        fenced_by varchar(16) NOT NULL,
        taken_at bigint NOT NULL,
        held_until bigint NOT NULL DEFAULT 0,
        session bigint NOT NULL DEFAULT 0
      ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4`,
      `CREATE SEQUENCE IF NOT EXISTS ${sequence}`,
    ];
  }

  dropTable({ path, sequence }: LockTable): readonly string[] {
    return [`DROP TABLE IF EXISTS ${path}`, `DROP SEQUENCE IF EXISTS ${sequence}`];
  }

  checkTable({ path, sequence }: LockTable): string {
    return compound([
      `SELECT id, name, token, fenced_by, taken_at, held_until, session FROM ${path} LIMIT 0`,
      `SELECT next_not_cached_value FROM ${sequence} LIMIT 0`,
    ]);
  }

  begin(wish: LockWish): string {
    return compound(
      [
        ...DECLARATIONS,
        ...rememberIdleTimeout(wish.ttl),
        ...BEGIN,
        ...lockLockRow(wish.table, wish.lock, 'sequence'),
        takeIfFree(wish, '0'),
        ANSWER,
      ],
      wish.waitTime,
    );
  }

  join(wish: LockWish): string {
    return compound(
      [
        ...DECLARATIONS,
        `SAVEPOINT ${SAVEPOINT}`,
        ...lockLockRow(wish.table, wish.lock, 'sequence'),
        // Only a transaction that is older than the wait can read another token than the one that it has locked.
        `SELECT token INTO witness FROM ${wish.table.path} WHERE id = '${wish.lock.id}'`,
        `IF witness <=> seen THEN ${takeIfFree(wish, '0')}; ELSE SET stale = 'a snapshot that is older than the lock'; END IF`,
        ANSWER,
        `RELEASE SAVEPOINT ${SAVEPOINT}`,
      ],
      wish.waitTime,
    );
  }

  undoJoin(): string {
    return compound([`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`, `RELEASE SAVEPOINT ${SAVEPOINT}`]);
  }

  reserve(wish: LockWish, holdAtLeast: number): string {
    return compound(
      [
        ...DECLARATIONS,
        ...rememberIdleTimeout(wish.ttl),
        ...BEGIN,
        ...lockLockRow(wish.table, wish.lock, 'sequence'),
        takeIfFree(wish, `${NOW} + ${Math.ceil(holdAtLeast)}`),
        ANSWER,
        'COMMIT',
        ...FORGET_IDLE_TIMEOUT,
      ],
      wish.waitTime,
    );
  }

  dropReservation({ path }: LockTable, { id }: LockIdentity, token: number): string {
    return `UPDATE ${path} SET held_until = 0 WHERE id = '${id}' AND token = ${token}`;
  }

  beginFenced({ table, fences, waitTime, ttl }: FencedBegin): string {
    const fencing = fences.flatMap((fence) => writeFence(table, fence));
    return compound(
      [...DECLARATIONS, ...rememberIdleTimeout(ttl), ...BEGIN, ...fencing, `SELECT ${SESSION}, ${ELAPSED}`],
      waitTime,
    );
  }

  fence(table: LockTable, fences: readonly Fence[], waitTime: number): string {
    const fencing = fences.flatMap((fence) => writeFence(table, fence));
    return compound(
      [...DECLARATIONS, `SAVEPOINT ${SAVEPOINT}`, ...fencing, `RELEASE SAVEPOINT ${SAVEPOINT}`],
      waitTime,
    );
  }

  explain({ path }: LockTable, id: string): string {
    return `SELECT held_until - ${NOW} AS held_for, fenced_by AS fenced_by, token AS token FROM ${path} WHERE id = '${id}'`;
  }

  inspect({ path }: LockTable, { id }: LockIdentity): string {
    return compound([
      ...DECLARATIONS,
      ...lookAtHolder(path, id),
      `SELECT TRUE AS granted, held_by AS pid, NULL AS application, NULL AS address, held_since AS since FROM DUAL
        WHERE NOT (dirty <=> seen)
      UNION ALL SELECT FALSE, ID, NULL, HOST, NULL FROM information_schema.PROCESSLIST
        WHERE ID <> CONNECTION_ID() AND INFO LIKE '%${id}%FOR UPDATE'`,
      `SELECT held - ${NOW} AS held_for, seen AS token, held_since AS taken_at FROM DUAL WHERE seen IS NOT NULL`,
    ]);
  }

  forceRelease({ path }: LockTable, { id }: LockIdentity): string {
    return compound([
      ...DECLARATIONS,
      ...lookAtHolder(path, id),
      `IF held > ${NOW} THEN UPDATE ${path} SET held_until = 0 WHERE id = '${id}'; SELECT TRUE AS ended; END IF`,
      'IF NOT (dirty <=> seen) THEN KILL CONNECTION held_by; SELECT TRUE AS ended; END IF',
    ]);
  }

  endWait({ id }: LockIdentity, session: number): string {
    return compound([
      `IF EXISTS (SELECT 1 FROM information_schema.PROCESSLIST
        WHERE ID = ${session} AND (INFO LIKE '%${id}%' OR INFO LIKE '%INTO found FROM%'))
        THEN KILL CONNECTION ${session}; SELECT TRUE AS ended; END IF`,
    ]);
  }

  purge({ path }: LockTable, unusedFor: number): string {
    const stale = `taken_at < ${NOW} - ${Math.ceil(unusedFor)} AND held_until < ${NOW}`;
    return compound([
      // Only rows that nobody has locked: a DELETE by itself would wait for the others.
      'DECLARE purged INT DEFAULT 0',
      `FOR stale IN (SELECT id FROM ${path} WHERE ${stale} LIMIT ${PURGE_BATCH} FOR UPDATE SKIP LOCKED)
        DO DELETE FROM ${path} WHERE id = stale.id AND ${stale}; SET purged = purged + ROW_COUNT(); END FOR`,
      'COMMIT',
      'SELECT purged AS purged FROM DUAL WHERE purged > 0',
    ]);
  }

  // A server that was restarted since gives the same numbers to others. It counts its uptime in whole seconds.
  lookAtSession(session: string, age: number): string {
    return `SELECT p.COMMAND NOT IN ('Sleep', 'Killed') AND u.VARIABLE_VALUE >= ${Math.floor(age / 1_000)} AS at_work
      FROM information_schema.PROCESSLIST p, information_schema.GLOBAL_STATUS u
      WHERE p.ID = ${Number(session)} AND u.VARIABLE_NAME = 'UPTIME'`;
  }

  extend(duration: number): string {
    return `SET SESSION idle_transaction_timeout = ${seconds(duration)}`;
  }

  wasCommitted(results: readonly StatementResult[]): boolean {
    return results.every(({ rows: [row] }) => row?.was_open === undefined || Number(row.was_open) === 1);
  }

  endsTransaction(error: unknown): boolean {
    return ENDS_TRANSACTION.has(errorNumber(error));
  }

  isRefusal(error: unknown): boolean {
    const { fatal, sqlState } = unwrapped(error);
    return fatal !== true && typeof sqlState === 'string';
  }

  failureOf(error: unknown): DatabaseFailure {
    return FAILURES[errorNumber(error)] ?? 'unavailable';
  }
}

/** How many rows one purge deletes at most: few, so that nobody waits for it. */
const PURGE_BATCH = 100;

const SAVEPOINT = 'distributed_lock';

const MICROSECONDS = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";

/** The database's clock in milliseconds, at the begin of the statement that asks. */
const NOW = `(${MICROSECONDS} DIV 1000)`;

const DECLARATIONS: readonly string[] = [
  'DECLARE begun DATETIME(6) DEFAULT UTC_TIMESTAMP(6)',
  'DECLARE seen, witness, held, taken, clock, dirty, held_by, held_since BIGINT DEFAULT NULL',
  'DECLARE fenced, found, stale VARCHAR(64) DEFAULT NULL',
];

// READ COMMITTED: under the default level every query reads what the first one saw, however long ago that was.
const BEGIN: readonly string[] = ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'START TRANSACTION'];

const ELAPSED = 'TIMESTAMPDIFF(MICROSECOND, begun, UTC_TIMESTAMP(6)) / 1000 AS elapsed';

const SESSION = 'CONNECTION_ID() AS session';

const ANSWER = `SELECT taken AS token, found AS found, stale AS isolation, ${SESSION}, ${ELAPSED}`;

/** https://mariadb.com/kb/en/mariadb-error-code-reference/ */
const FAILURES: Readonly<Record<number, DatabaseFailure>> = {
  1205: 'busy', // ER_LOCK_WAIT_TIMEOUT, NOWAIT too
  1969: 'busy', // ER_STATEMENT_TIMEOUT: max_statement_time is over
  1213: 'deadlock', // ER_LOCK_DEADLOCK
  1020: 'snapshot', // ER_CHECKREAD: under stricter levels than READ COMMITTED, where the server checks it
  1146: 'schema', // ER_NO_SUCH_TABLE
  1054: 'schema', // ER_BAD_FIELD_ERROR
  4091: 'schema', // ER_UNKNOWN_SEQUENCES
  4089: 'schema', // ER_NOT_SEQUENCE
  1142: 'schema', // ER_TABLEACCESS_DENIED_ERROR
  1143: 'schema', // ER_COLUMNACCESS_DENIED_ERROR
  1064: 'unsupported', // ER_PARSE_ERROR: the server is a MySQL, or too old
  1292: 'value', // ER_TRUNCATED_WRONG_VALUE
  1366: 'value', // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
};

/** After these there is no transaction any more, and the next statement would be committed at once. */
const ENDS_TRANSACTION: ReadonlySet<number> = new Set([1213, 1020]);

function compound(statements: readonly string[], waitTime?: number): string {
  const block = `BEGIN NOT ATOMIC ${statements.map((statement) => `${statement};`).join(' ')} END`;
  return waitTime === undefined ? block : `${limitWaiting(waitTime)} FOR ${block}`;
}

/**
 * Set for this one statement, so there is nothing to put back. `max_statement_time` counts milliseconds, and all waits
 * together; the other one, of whole seconds, must only not end before it, except where nobody waits at all.
 */
function limitWaiting(waitTime: number): string {
  if (waitTime <= 0) return 'SET STATEMENT innodb_lock_wait_timeout = 0, max_statement_time = 0';
  if (waitTime === Infinity) {
    return `SET STATEMENT innodb_lock_wait_timeout = ${LONGEST_WAIT}, max_statement_time = 0`;
  }
  const limit = Math.min(Math.max(waitTime, SHORTEST_WAIT), LONGEST_WAIT * 1_000) / 1_000;
  return `SET STATEMENT innodb_lock_wait_timeout = ${Math.ceil(limit) + 1}, max_statement_time = ${limit.toFixed(3)}`;
}

/** Seconds: what both variables can hold. */
const LONGEST_WAIT = 31_536_000;

/** Milliseconds: the statement itself takes a moment, too, and is no reason to call the lock busy. */
const SHORTEST_WAIT = 50;

/** The session's own value comes back with the end of the transaction: the connection is the pool's. */
function rememberIdleTimeout(ttl: number): readonly string[] {
  return [
    'SET @distributed_lock_idle = @@idle_transaction_timeout',
    `SET SESSION idle_transaction_timeout = ${seconds(ttl)}`,
  ];
}

const FORGET_IDLE_TIMEOUT: readonly string[] = [
  'IF @distributed_lock_idle IS NOT NULL THEN SET SESSION idle_transaction_timeout = @distributed_lock_idle; END IF',
  'SET @distributed_lock_idle = NULL',
];

function seconds(duration: number): number {
  return Math.min(Math.max(1, Math.ceil(duration / 1_000)), LONGEST_WAIT);
}

/** With the lock's row locked: takes the lock, and locks the entity's row behind it. Leaves `taken` empty when it may not. */
function takeIfFree({ table, lock, row, reservation }: LockWish, heldUntil: string): string {
  const isFree =
    reservation === undefined ? `held <= clock DIV 1000 AND fenced = 'sequence'` : `seen = ${reservation}`;
  const keepHold = reservation === undefined ? `, held_until = ${heldUntil}` : '';
  const take =
    `${takeToken(table)} UPDATE ${table.path} SET token = taken, taken_at = clock DIV 1000, ` +
    `session = CONNECTION_ID()${keepHold} WHERE id = '${lock.id}';`;
  // Read once for all, but not before the last lock that is waited for.
  const readClock = `SET clock = ${MICROSECONDS};`;
  const takeIfFound =
    row === undefined ? take : `${lockRow(row)}; IF found IS NOT NULL THEN ${readClock} ${take} END IF;`;
  return `${readClock} IF ${isFree} THEN ${takeIfFound} END IF`;
}

/**
 * The sequence's next number, but never below `clock`, in microseconds. The sequence alone would give tokens twice: a
 * crash forgets what it gave last. The clock alone would, when it is set back. The sequence runs ahead of the clock by
 * less time than a crash takes, so that it is written a few times a second only; it never goes back.
 */
function takeToken({ sequence }: LockTable): string {
  return (
    `SET taken = NEXTVAL(${sequence}); ` +
    // SETVAL takes a number that is written out, and nothing else.
    `IF taken < clock THEN EXECUTE IMMEDIATE CONCAT(${literal(`DO SETVAL(${sequence}, `)}, clock + ${AHEAD}, ')'); ` +
    `SET taken = NEXTVAL(${sequence}); END IF;`
  );
}

/** Microseconds. */
const AHEAD = 100_000;

function lockLockRow({ path }: LockTable, { id, name }: LockIdentity, fencedBy: string): readonly string[] {
  const lockIt = `SELECT token, held_until, fenced_by INTO seen, held, fenced FROM ${path} WHERE id = '${id}' FOR UPDATE`;
  return [
    'SET seen = NULL',
    lockIt,
    `IF seen IS NULL THEN INSERT INTO ${path} (id, name, token, fenced_by, taken_at) ` +
      `VALUES ('${id}', ${literal(name)}, 0, '${fencedBy}', 0) ON DUPLICATE KEY UPDATE id = VALUES(id); ${lockIt}; END IF`,
  ];
}

function lockRow({ tablePath, column, value, isNumber }: LockedRow): string {
  const compared = isNumber ? value : literal(value);
  return `SELECT 'found' INTO found FROM ${tablePath} WHERE ${column} = ${compared} FOR UPDATE`;
}

/** Answers no row to the token of an earlier holder. */
function writeFence(table: LockTable, fence: Fence): readonly string[] {
  return [
    ...lockLockRow(table, fence, 'lease'),
    `IF fenced = 'lease' AND seen <= ${fence.token} THEN
      UPDATE ${table.path} SET token = ${fence.token}, taken_at = ${NOW} WHERE id = '${fence.id}'; SELECT TRUE AS fenced; END IF`,
  ];
}

/** Each holder writes a new token, which only a dirty read sees before it commits: two different ones mean a holder. */
function lookAtHolder(path: string, id: string): readonly string[] {
  return [
    'SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED',
    `SELECT token, session, taken_at INTO dirty, held_by, held_since FROM ${path} WHERE id = '${id}'`,
    'SET TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SELECT token, held_until INTO seen, held FROM ${path} WHERE id = '${id}'`,
  ];
}

/** In hexadecimal digits, which no mode of the server reads in another way; it takes the collation of what it meets. */
function literal(text: string): string {
  return text === '' ? "''" : `_utf8mb4 x'${Buffer.from(text).toString('hex')}'`;
}
