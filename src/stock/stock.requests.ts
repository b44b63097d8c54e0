import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** The largest number that a column of type `integer` holds: beyond it the database would fail, not answer. */
const LARGEST_ID = 2_147_483_647;

// Checked from the bottom up, and the first mistake is the one that is answered.

/** The `:id` in `/stock/:id`. */
export class StockParameters {
  @Type(() => Number)
  @Max(LARGEST_ID)
  @Min(1)
  @IsInt()
  readonly id!: number;
}

/** The body of `POST /stock/:id/orders`. */
export class PlaceOrder {
  @Max(1_000)
  @Min(1)
  @IsInt()
  readonly quantity!: number;
}
