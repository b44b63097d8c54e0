import {
  BaseEntity,
  Column,
  Entity,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
} from 'typeorm';

/** The row that everybody wants. */
@Entity({ name: 'stock' })
export class Stock extends BaseEntity {
  @PrimaryColumn({ type: 'int' })
  id!: number;

  @Column({ type: 'varchar', length: 64, unique: true })
  sku!: string;

  @Column({ type: 'int' })
  quantity!: number;

  @OneToMany(() => Order, (order) => order.stock)
  orders!: Promise<Order[]>;
}

/** A row that refers to it. */
@Entity({ name: 'stock_order' })
export class Order extends BaseEntity {
  @PrimaryGeneratedColumn({ type: 'int' })
  id!: number;

  @Column({ type: 'varchar', length: 64 })
  buyer!: string;

  @ManyToOne(() => Stock, (stock) => stock.orders, { lazy: true })
  stock!: Promise<Stock>;
}
