import { ConflictException, HttpStatus } from '@nestjs/common';
import type { Stock } from './stock.entity.js';

/** There is less left than the buyer wants. Said apart from the other conflicts, for trying again is of no use. */
export class SoldOutException extends ConflictException {
  constructor(stock: Stock, wanted: number) {
    super({
      statusCode: HttpStatus.CONFLICT,
      error: 'Sold Out',
      message: `There are ${stock.quantity} left of ${stock.name}, and ${wanted} were ordered`,
    });
  }
}
