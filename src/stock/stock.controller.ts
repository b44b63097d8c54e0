import { Body, Controller, Get, Param, Post, UseInterceptors } from '@nestjs/common';
import { DistributedLockInterceptor } from 'nestjs-distributed-lock';
import type { StockOrder } from './stock-order.entity.js';
import type { Stock } from './stock.entity.js';
import { PlaceOrder, StockParameters } from './stock.requests.js';
import { StockService } from './stock.service.js';

// The interceptor turns the lock's errors into answers: 423 with Retry-After when busy, 409 when lost, 503 when down.
@Controller('stock')
@UseInterceptors(DistributedLockInterceptor)
export class StockController {
  constructor(private readonly stocks: StockService) {}

  @Get(':id')
  find(@Param() { id }: StockParameters): Promise<Stock> {
    return this.stocks.find(id);
  }

  @Post(':id/orders')
  order(@Param() { id }: StockParameters, @Body() { quantity }: PlaceOrder): Promise<StockOrder> {
    return this.stocks.order(id, quantity);
  }
}
