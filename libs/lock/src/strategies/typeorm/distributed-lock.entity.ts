import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { FencedBy } from './dialect.js';

/** The name of the lock table. */
export const LOCK_TABLE = 'distributed_lock';

/** The name of the sequence that the fencing tokens come from. */
export const LOCK_SEQUENCE = 'distributed_lock_token';

/**
 * A row of the lock table: one lock that was taken at some time, whether it is held now or not. For applications that
 * list their entities for `synchronize`, or want to look at the table; the strategy itself does not need it.
 *
 * @publicApi
 */
@Entity({ name: LOCK_TABLE })
export class DistributedLockEntity {
  /** SHA-256 of the name, in hexadecimal digits. */
  @PrimaryColumn({ type: 'varchar', length: 64 })
  readonly id!: string;

  /** The lock's name, for people. */
  @Column({ type: 'varchar', length: 1024 })
  readonly name!: string;

  /** The highest fencing token that was seen. A string, as drivers answer 64-bit numbers. */
  @Column({ type: 'bigint' })
  readonly token!: string;

  /** Where the tokens come from: the database's sequence, or the lease of another strategy. */
  @Column({ name: 'fenced_by', type: 'varchar', length: 16 })
  readonly fencedBy!: FencedBy;

  /** When the lock was last taken, by the database's clock, in milliseconds since 1970. */
  @Column({ name: 'taken_at', type: 'bigint' })
  readonly takenAt!: string;

  /** Until when `holdAtLeast` keeps everybody out, by the database's clock, in milliseconds since 1970; 0 for no such time. */
  @Column({ name: 'held_until', type: 'bigint', default: 0 })
  readonly heldUntil!: string;

  /** The database session that took it last. */
  @Column({ type: 'bigint', default: 0 })
  readonly session!: string;
}
