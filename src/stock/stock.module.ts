import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { StockOrder } from './stock-order.entity.js';
import { StockController } from './stock.controller.js';
import { Stock } from './stock.entity.js';
import { StockService } from './stock.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([Stock, StockOrder])],
  controllers: [StockController],
  providers: [StockService],
})
export class StockModule {}
