import type { EventEmitter } from 'node:events';
import type { DataSource } from 'typeorm';

/**
 * Keeps the process alive when the server ends a connection in the very moment of its checkout.
 *
 * `pg-pool` takes its own `error` listener off a connection that it hands out, and TypeORM adds one of its own only a
 * microtask later: when the end of the connection arrives in one packet with the log-in (a restarting server, a slow
 * network), nobody listens, and Node ends the process. It happens without locks as well, but locks check connections out
 * often. (`mysql2` listens for the first error of a pooled connection itself.)
 *
 * The listener does nothing: whoever uses the connection hears of its end as before, for their queries fail. It is added
 * once a connection, stays as long as the connection does, and knows nothing of the lock, so there is nothing to undo.
 */
export function guardCheckouts(dataSource: DataSource): void {
  for (const pool of poolsOf(dataSource)) {
    if (guardedPools.has(pool)) continue;
    guardedPools.add(pool);
    // Just before it hands a connection out, a new one or one that was idle.
    pool.on('acquire', guard);
  }
}

/** A data source that is destroyed and initialised again has other pools. */
const guardedPools = new WeakSet<EventEmitter>();
const guardedConnections = new WeakSet<EventEmitter>();

function guard(connection: EventEmitter): void {
  if (guardedConnections.has(connection)) return;
  guardedConnections.add(connection);
  connection.on('error', ignore);
}

function ignore(): void {}

/** Where TypeORM keeps the pools of PostgreSQL, and does not declare it. */
interface PostgresPools {
  readonly master?: EventEmitter;
  readonly slaves?: readonly EventEmitter[];
}

function poolsOf({ driver }: DataSource): readonly EventEmitter[] {
  const { master, slaves = [] } = driver as PostgresPools;
  return master === undefined ? slaves : [master, ...slaves];
}
