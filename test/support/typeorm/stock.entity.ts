import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The row that everybody wants. */
@Entity({ name: 'stock' })
export class Stock {
  @PrimaryColumn({ type: 'int' })
  id!: number;

  @Column({ type: 'varchar', length: 64, unique: true })
  sku!: string;

  @Column({ type: 'int' })
  quantity!: number;
}
