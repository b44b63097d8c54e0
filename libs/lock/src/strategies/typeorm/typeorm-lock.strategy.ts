import { LockBusyError, LockConfigurationError, LockShutdownError } from '../../locking/lock-error.js';
import {
  LockStrategy,
  type LockInspection,
  type LockRequest,
  type LockTraits,
  type StrategyLease,
} from '../../locking/lock-strategy.js';
import { ConnectionGate } from './connection-gate.js';
import { foreignTransaction } from './foreign-transaction.js';
import type { LockDatabase } from './lock-database.js';
import { lockIdentity } from './lock-identity.js';
import { JoinedAcquisition } from './joined-acquisition.js';
import { inspectionOf } from './lock-inspection.js';
import type { LockTransaction } from './lock-transaction.js';
import { LockTablePurge } from './lock-table-purge.js';
import type { LockTarget } from './lock-target.js';
import { MappedRows } from './mapped-resources.js';
import { OwnAcquisition } from './own-acquisition.js';
import { openTransactionOf } from './joined-queries.js';
import { poolSize } from './pool-size.js';
import { LONGEST_ABANDONING } from './pooled-connection.js';
import { OwnLease } from './typeorm-lease.js';
import type { ResolvedTypeormLockOptions } from './typeorm-lock-options.js';
import { WaitLimit, within } from './wait-limit.js';

/** A pessimistic lock in the database: a transaction that holds a row until its end. */
export class TypeormLockStrategy extends LockStrategy {
  // The order holds in each process. Between processes the first of each takes turns with the others: a process has one
  // caller waiting for a lock in the database at a time, or waiting would use up the pool.
  override readonly traits: LockTraits = { scope: 'shared', order: 'process', fencing: true };
  override readonly resources: readonly string[];
  private readonly waiting = new Map<WaitLimit, string>();
  private readonly held = new Set<OwnLease>();
  private opened: OpenedDatabase | undefined;
  private rows: MappedRows | undefined;
  private shutDown: Promise<void> | undefined;
  private onLastRelease: (() => void) | undefined;

  constructor(
    private readonly name: string,
    private readonly options: ResolvedTypeormLockOptions,
    private readonly openDatabase: () => LockDatabase,
  ) {
    super();
    this.resources = Object.keys(options.resources);
  }

  override async connect(): Promise<void> {
    const { database } = this.open();
    if (!database.dataSource.isInitialized) return;
    this.mappedRows(database);
    // Whether the database can be reached is asked again by every call until it was.
    await database.checkTable({ limit: this.startLimit }).catch((error: unknown) => {
      if (error instanceof LockConfigurationError) throw error;
    });
  }

  override async acquire(request: LockRequest): Promise<StrategyLease> {
    const startedAt = performance.now();
    const { name, waitTime, signal } = request;
    if (this.shutDown !== undefined) throw this.refusal(name);
    signal?.throwIfAborted();
    const { database, gate } = this.open();
    database.assertInitialised(name);
    const target = this.targetOf(name);
    this.checkHoldAtLeast(request, target);
    const around =
      openTransactionOf(database.dataSource) ??
      foreignTransaction(database.dataSource, database.dialect, this.options.currentManager);
    const call: Call = { request, target, startedAt };
    if (!database.hasTable) {
      await this.limited(call, (limit) =>
        database.checkTable({ limit: limit.leftToReach, signal: limit.signal }, name),
      );
    }
    if (around !== undefined) {
      return this.limited(call, (limit) =>
        new JoinedAcquisition({ database, target, request, limit }).run(around),
      );
    }
    const left = Math.max(0, waitTime - (performance.now() - startedAt));
    if (!(await gate.enter(target.lock.name, { waitTime: left, signal }))) {
      throw this.shutDown === undefined ? this.busy(call) : this.refusal(name);
    }
    return this.takeInTurn(call);
  }

  override async inspect(name: string): Promise<LockInspection> {
    const { database, gate } = this.open();
    database.assertInitialised(name);
    const { lock } = this.targetOf(name);
    const results = await database.run(
      database.dialect.inspect(database.table, lock),
      { limit: this.startLimit },
      name,
    );
    return inspectionOf(name, results, gate.waiting(lock.name));
  }

  override async forceRelease(name: string): Promise<boolean> {
    const { database } = this.open();
    database.assertInitialised(name);
    const { lock } = this.targetOf(name);
    const statements = database.dialect.forceRelease(database.table, lock);
    const results = await database.run(statements, { limit: this.startLimit }, name);
    return results.some(({ rows }) => rows.length > 0);
  }

  override drain(): Promise<void> {
    this.shutDown ??= this.waitForHolders();
    return this.shutDown;
  }

  override async close(): Promise<void> {
    this.shutDown ??= Promise.resolve();
    this.refuseWaiting();
    await Promise.all([...this.held].map((lease) => lease.release()));
    await this.connectionsGone();
    this.opened?.purge.stop();
    this.opened?.database.close();
  }

  private async takeInTurn(call: Call): Promise<StrategyLease> {
    const { database, gate } = this.open();
    const { request, target } = call;
    const { deadlockRetries } = this.options;
    try {
      return await this.limited(call, async (limit) => {
        const parts = { database, gate, target, request, limit, deadlockRetries };
        const { transaction, token } = await new OwnAcquisition(parts).run();
        return this.hold(target, transaction, token);
      });
    } finally {
      gate.leave(target.lock.name);
    }
  }

  /** Runs what a call waits for, and ends its waiting at the shut-down. */
  private async limited<T>(
    { request: { name, waitTime, signal }, startedAt }: Call,
    work: (limit: WaitLimit) => Promise<T>,
  ): Promise<T> {
    if (this.shutDown !== undefined) throw this.refusal(name);
    const limit = new WaitLimit(waitTime, this.options.connectTimeout, startedAt, signal);
    this.waiting.set(limit, name);
    try {
      limit.throwIfAborted();
      return await work(limit);
    } finally {
      this.waiting.delete(limit);
      limit.end();
    }
  }

  private hold(target: LockTarget, transaction: LockTransaction, token: number): StrategyLease {
    const parts = { name: target.name, token, strategy: this.name };
    const lease: OwnLease = new OwnLease(parts, transaction, () => {
      this.held.delete(lease);
      if (this.held.size === 0) this.onLastRelease?.();
    });
    this.held.add(lease);
    return lease;
  }

  /** Not before it is needed: the data source may still be loading when the strategy is built. */
  private open(): OpenedDatabase {
    if (this.opened !== undefined) return this.opened;
    const database = this.openDatabase();
    const { maxConnections = Math.max(1, Math.floor(poolSize(database.dataSource) / 2)), purgeAfter } =
      this.options;
    const purge = new LockTablePurge(database, purgeAfter);
    purge.start();
    this.opened = { database, gate: new ConnectionGate(maxConnections), purge };
    return this.opened;
  }

  private targetOf(name: string): LockTarget {
    const { database } = this.open();
    const mapped = this.mappedRows(database).targetOf(name);
    return { name, lock: lockIdentity(mapped?.canonicalName ?? name), row: mapped?.row };
  }

  /** Entities are known only once the data source is initialised. */
  private mappedRows(database: LockDatabase): MappedRows {
    this.rows ??= new MappedRows(this.name, database.dataSource, this.options.resources);
    return this.rows;
  }

  private checkHoldAtLeast({ name, holdAtLeast }: LockRequest, { row }: LockTarget): void {
    if (holdAtLeast === 0 || row === undefined) return;
    throw new LockConfigurationError(
      `"${name}" is the row of an entity, which is free as soon as its transaction ends: holdAtLeast can't be kept. ` +
        'Use a key whose first segment is not in the resources of typeormLock().',
      { key: name, strategy: this.name },
    );
  }

  private get startLimit(): number {
    return Math.max(this.options.connectTimeout, SHORTEST_START_LIMIT);
  }

  private async waitForHolders(): Promise<void> {
    this.refuseWaiting();
    if (this.held.size > 0) {
      const released = new Promise<void>((resolve) => {
        this.onLastRelease = resolve;
      });
      await within(released, this.options.shutdownTimeout).catch(() => undefined);
    }
    await this.connectionsGone();
  }

  /** The data source is destroyed next, and the pool of mysql2 fails to end a connection that is just being torn down. */
  private async connectionsGone(): Promise<void> {
    if (this.opened === undefined) return;
    await within(this.opened.gate.idle(), LONGEST_TEARDOWN).catch(() => undefined);
  }

  private refuseWaiting(): void {
    this.opened?.gate.dismissWaiters();
    for (const [limit, name] of this.waiting) limit.abort(this.refusal(name));
  }

  private busy({ target, startedAt }: Call): LockBusyError {
    return new LockBusyError({
      key: target.name,
      strategy: this.name,
      waited: performance.now() - startedAt,
      queueLength: this.open().gate.waiting(target.lock.name),
    });
  }

  private refusal(name: string): LockShutdownError {
    return new LockShutdownError(`"${name}" can't be locked: the application is shutting down.`, {
      key: name,
      strategy: this.name,
    });
  }
}

/** Milliseconds that the shut-down waits for connections to end whose callers were sent away: a server may be frozen. */
const LONGEST_TEARDOWN = LONGEST_ABANDONING + 500;

/** Milliseconds that the start of the application waits for the database, and so does a look at a lock. */
const SHORTEST_START_LIMIT = 5_000;

/** One call of {@link TypeormLockStrategy.acquire}. */
interface Call {
  readonly request: LockRequest;
  readonly target: LockTarget;
  /** By `performance.now()`. */
  readonly startedAt: number;
}

interface OpenedDatabase {
  readonly database: LockDatabase;
  readonly gate: ConnectionGate;
  readonly purge: LockTablePurge;
}
