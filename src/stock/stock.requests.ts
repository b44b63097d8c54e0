import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** The largest number that a column of type `integer` holds: beyond it the database would fail, not answer. */
const LARGEST_ID = 2_147_483_647;

/** The `:id` in `/stock/:id`. */
export class StockParameters {
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(LARGEST_ID)
  readonly id!: number;
}

/** The body of `POST /stock/:id/orders`. */
export class PlaceOrder {
  @IsInt()
  @Min(1)
  @Max(1_000)
  readonly quantity!: number;
}
