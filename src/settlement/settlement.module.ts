import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { StockOrder } from '../stock/stock-order.entity.js';
import { Settlement } from './settlement.entity.js';
import { SettlementService } from './settlement.service.js';

@Module({
  imports: [ScheduleModule.forRoot(), TypeOrmModule.forFeature([Settlement, StockOrder])],
  providers: [SettlementService],
})
export class SettlementModule {}
