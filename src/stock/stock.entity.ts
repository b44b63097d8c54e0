import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** What there is to sell of one article. */
@Entity()
export class Stock {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'text' })
  name!: string;

  @Column({ type: 'integer' })
  quantity!: number;
}
