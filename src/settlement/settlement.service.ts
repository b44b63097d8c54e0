import { Injectable, Logger } from '@nestjs/common';
import { Cron, CronExpression } from '@nestjs/schedule';
import { InjectRepository } from '@nestjs/typeorm';
import { ExclusiveJob } from 'nestjs-distributed-lock';
import { IsNull, Repository } from 'typeorm';
import { StockOrder } from '../stock/stock-order.entity.js';
import { Settlement } from './settlement.entity.js';

@Injectable()
export class SettlementService {
  private readonly logger = new Logger(SettlementService.name);

  constructor(
    @InjectRepository(Settlement) private readonly settlements: Repository<Settlement>,
    @InjectRepository(StockOrder) private readonly orders: Repository<StockOrder>,
  ) {}

  /**
   * Every batch server ticks, one settles. The job is done in milliseconds, so the lock is held on for a server whose
   * clock is late, and not until the next tick.
   */
  @Cron(CronExpression.EVERY_5_SECONDS)
  @ExclusiveJob('settle', { holdAtLeast: 4_000, transaction: true })
  async settle(): Promise<void> {
    const { id } = await this.settlements.save({ pid: process.pid });
    const { affected } = await this.orders.update({ settlementId: IsNull() }, { settlementId: id });
    this.logger.log(`settled ${affected} orders`);
  }
}
