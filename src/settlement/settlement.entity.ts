import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** One run of the job. */
@Entity()
export class Settlement {
  @PrimaryGeneratedColumn()
  id!: number;

  /** By the database's clock, which all servers share. */
  @Column({ type: 'timestamptz', default: () => 'clock_timestamp()' })
  startedAt!: Date;

  /** The process that ran it. */
  @Column({ type: 'integer' })
  pid!: number;
}
