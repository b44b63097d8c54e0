import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import { Stock } from './stock.entity.js';

/** What one buyer was promised. The ids rise in the order of service. */
@Entity()
export class StockOrder {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'integer' })
  stockId!: number;

  @ManyToOne(() => Stock)
  @JoinColumn()
  stock?: Stock;

  @Column({ type: 'integer' })
  quantity!: number;

  /** Null until it was settled. */
  @Column({ type: 'integer', nullable: true })
  settlementId!: number | null;
}
