import { Injectable, NotFoundException } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { DistributedLock } from 'nestjs-distributed-lock';
import { Repository } from 'typeorm';
import { SoldOutException } from './sold-out.exception.js';
import { StockOrder } from './stock-order.entity.js';
import { Stock } from './stock.entity.js';

@Injectable()
export class StockService {
  constructor(
    @InjectRepository(Stock) private readonly stocks: Repository<Stock>,
    @InjectRepository(StockOrder) private readonly orders: Repository<StockOrder>,
  ) {}

  async find(id: number): Promise<Stock> {
    const stock = await this.stocks.findOneBy({ id });
    if (!stock) throw new NotFoundException(`There is no stock ${id}`);
    return stock;
  }

  /** Reads, checks and writes, with nothing but the lock between two buyers of the last item. */
  @DistributedLock('stock:<id>', { transaction: true })
  async order(id: number, quantity: number): Promise<StockOrder> {
    const stock = await this.find(id);
    if (stock.quantity < quantity) throw new SoldOutException(stock, quantity);
    stock.quantity -= quantity;
    await this.stocks.save(stock);
    return this.orders.save({ stockId: id, quantity });
  }
}
