import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { columnValueReader } from './column-value.js';

@Entity()
class Sample {
  @PrimaryColumn({ type: 'bigint' })
  id!: string;

  @Column({ type: 'smallint' })
  small!: number;

  @Column({ type: Number })
  plain!: number;

  @Column({ type: 'numeric' })
  price!: string;

  @Column({ type: 'uuid' })
  uuid!: string;

  @Column({ type: 'varchar' })
  text!: string;

  @Column({ type: 'enum', enum: ['red', 'green'] })
  colour!: string;

  @Column({ type: 'timestamptz' })
  at!: Date;

  @Column({
    type: 'varchar',
    transformer: { to: (value: string) => value.toUpperCase(), from: (value: string) => value },
  })
  shouted!: string;
}

describe('a segment of a key as the value of a column', () => {
  const dataSource = new DataSource({ type: 'postgres', entities: [Sample] });

  beforeAll(() => (dataSource as unknown as { buildMetadatas(): Promise<void> }).buildMetadatas());

  function read(property: string, text: string): string {
    const column = dataSource.getMetadata(Sample).findColumnWithPropertyName(property);
    const reading = column && columnValueReader(dataSource, column)?.(text);
    if (reading === undefined) return 'no reader';
    return 'value' in reading ? reading.value : 'refused';
  }

  it.each([
    ['id', '42', '42'],
    ['id', '0042', '42'],
    ['id', '-0', '0'],
    ['id', '9223372036854775807', '9223372036854775807'],
    ['id', '9223372036854775808', 'refused'],
    ['small', '-32768', '-32768'],
    ['small', '32768', 'refused'],
    ['plain', '2147483648', 'refused'],
    ['plain', '1abc', 'refused'],
    ['plain', ' 1', 'refused'],
    ['plain', '1.0', 'refused'],
    ['plain', '1e3', 'refused'],
    ['plain', '0x10', 'refused'],
    ['plain', '١', 'refused'],
    ['price', '01.50', '1.5'],
    ['price', '-0.00', '0'],
    ['price', '-1', '-1'],
    ['price', '.5', 'refused'],
    ['price', 'NaN', 'refused'],
    ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', 'a0eebc99', 'refused'],
    ['text', "it's; DROP TABLE", "it's; DROP TABLE"],
    ['text', 'a\0b', 'refused'],
    ['colour', 'red', 'red'],
    ['colour', 'blue', 'refused'],
    ['shouted', 'abc', 'ABC'],
    ['at', '2026-01-01', 'no reader'],
  ])('%s = %j is %j', (property, text, expected) => {
    expect(read(property, text)).toBe(expected);
  });
});
